/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Knows no sockets, no clock, no files and no rights, which are policy's.
 *
 * Each entry is in two lists: `order`, which DUMP walks, and the chain of its
 * program and protocol.  A chain is in order of registration, because GETPORT
 * may have to choose among other versions.
 *
 * Entry i is also in slot i, from which only table_load() reads.
 */
#include "table.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

/* One chain for each entry of a full table. */
#define CHAIN_BITS 14
#define CHAINS (1 << CHAIN_BITS)

struct entry {
	struct mapping m; /* first: table_next() casts back */
	TAILQ_ENTRY(entry) order;
	SLIST_ENTRY(entry) chain; /* or the list of free entries */
	LIST_ENTRY(entry) quota;  /* unless it is root's */
};

SLIST_HEAD(chain, entry);

struct table {
	TAILQ_HEAD(order, entry) order;
	LIST_HEAD(quota, entry) quota; /* short, by policy's quotas */
	uint64_t seed;
	uint64_t last; /* the order of the newest entry */
	size_t count;
	struct slot *slots;
	struct chain free;
	size_t fresh; /* entries from here on were never used */
	struct entry entries[TABLE_SLOTS];
	struct chain chains[CHAINS];
};

struct table *
table_new(uint64_t seed, struct slot slots[TABLE_SLOTS])
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return (NULL);
	TAILQ_INIT(&t->order);
	t->seed = seed | 1;
	t->slots = slots;
	return (t);
}

/* Multiplicative hashing by a secret odd number; the high bits are uniform. */
static size_t
chain_of(const struct table *t, uint32_t prog, uint32_t prot)
{
	return ((((uint64_t)prog << 8 | (prot & 0xff)) * t->seed) >>
		(64 - CHAIN_BITS));
}

static bool
is_of(const struct entry *e, uint32_t prog, uint32_t prot)
{
	return (e->m.prog == prog && e->m.prot == prot);
}

const struct mapping *
table_lookup(const struct table *t, uint32_t prog, uint32_t vers, uint32_t prot)
{
	const struct entry *e;

	SLIST_FOREACH(e, &t->chains[chain_of(t, prog, prot)], chain)
		if (is_of(e, prog, prot) && e->m.vers == vers)
			return (&e->m);
	return (NULL);
}

const struct mapping *
table_getport(
    const struct table *t, uint32_t prog, uint32_t vers, uint32_t prot)
{
	const struct entry *e, *near = NULL;

	SLIST_FOREACH(e, &t->chains[chain_of(t, prog, prot)], chain) {
		if (!is_of(e, prog, prot))
			continue;
		if (e->m.vers == vers)
			return (&e->m);
		if (near == NULL ||
		    (near->m.owner != UID_ROOT && e->m.owner == UID_ROOT))
			near = e;
	}
	return (near == NULL ? NULL : &near->m);
}

/* Return the first entry of the program from `e` on in its chain, or NULL. */
static const struct mapping *
find_of(const struct entry *e, uint32_t prog, uint32_t prot)
{
	while (e != NULL && !is_of(e, prog, prot))
		e = SLIST_NEXT(e, chain);
	return (e == NULL ? NULL : &e->m);
}

/* Return the first entry of the program from the i-th protocol on. */
static const struct mapping *
first_from(const struct table *t, uint32_t prog, size_t i)
{
	const struct mapping *m = NULL;

	for (; m == NULL && i < PMAP_PROTS; i++)
		m = find_of(
		    SLIST_FIRST(&t->chains[chain_of(t, prog, pmap_prots[i])]),
		    prog, pmap_prots[i]);
	return (m);
}

const struct mapping *
table_first_of(const struct table *t, uint32_t prog)
{
	return (first_from(t, prog, 0));
}

const struct mapping *
table_next_of(const struct table *t, const struct mapping *m)
{
	const struct entry *e = (const struct entry *)(const void *)m;
	const struct mapping *next =
	    find_of(SLIST_NEXT(e, chain), m->prog, m->prot);

	if (next != NULL)
		return (next);
	return (first_from(t, m->prog, m->prot == pmap_prots[0] ? 1 : 2));
}

static void
drop(struct table *t, struct entry *e)
{
	SLIST_REMOVE(
	    &t->chains[chain_of(t, e->m.prog, e->m.prot)], e, entry, chain);
	TAILQ_REMOVE(&t->order, e, order);
	if (e->m.owner != UID_ROOT)
		LIST_REMOVE(e, quota);
	e->order.tqe_prev = NULL; /* table_at() */
	SLIST_INSERT_HEAD(&t->free, e, chain);
	t->slots[e - t->entries].used = 0;
	t->count--;
}

/* Add an entry to the lists, in place of one for the same. */
static void
add(struct table *t, struct entry *e)
{
	struct chain *chain = &t->chains[chain_of(t, e->m.prog, e->m.prot)];
	struct entry *at, *last = NULL;

	table_remove(t, e->m.prog, e->m.vers, e->m.prot);
	/* at the end of the chain, so that versions stay in order */
	SLIST_FOREACH(at, chain, chain)
		last = at;
	if (last == NULL)
		SLIST_INSERT_HEAD(chain, e, chain);
	else
		SLIST_INSERT_AFTER(last, e, chain);
	if (e->m.prog == PMAP_PROG)
		TAILQ_INSERT_HEAD(&t->order, e, order);
	else
		TAILQ_INSERT_TAIL(&t->order, e, order);
	if (e->m.owner != UID_ROOT)
		LIST_INSERT_HEAD(&t->quota, e, quota);
	t->count++;
}

void
table_put(struct table *t, const struct mapping *m)
{
	struct entry *e = SLIST_FIRST(&t->free);
	struct slot *s;

	if (e != NULL) {
		SLIST_REMOVE_HEAD(&t->free, chain);
	} else {
		assert(t->fresh < TABLE_SLOTS);
		e = &t->entries[t->fresh++];
	}
	e->m = *m;
	s = &t->slots[e - t->entries];
	s->m = *m;
	s->order = ++t->last;
	/* should we be killed here, the slot is free or complete */
	atomic_signal_fence(memory_order_release);
	s->used = 1;
	add(t, e);
}

/* A slot that counts. */
struct found {
	uint64_t order;
	size_t i;
};

static int
compare(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return ((x->order > y->order) - (x->order < y->order));
}

/* Make an entry of slot `i`, or free it. */
static void
load(struct table *t, size_t i,
    bool (*keep)(const struct table *, const struct mapping *))
{
	struct entry *e = &t->entries[i];

	e->m = t->slots[i].m;
	if (keep(t, &e->m)) {
		add(t, e);
		return;
	}
	t->slots[i].used = 0;
	SLIST_INSERT_HEAD(&t->free, e, chain);
}

int
table_load(
    struct table *t, bool (*keep)(const struct table *, const struct mapping *))
{
	struct found *found = calloc(TABLE_SLOTS, sizeof(*found));
	size_t n = 0;

	assert(t->count == 0);
	if (found == NULL)
		return (-1);
	for (; t->fresh < TABLE_SLOTS; t->fresh++) {
		const struct slot *s = &t->slots[t->fresh];

		if (s->order == 0) /* never used, nor are those behind it */
			break;
		if (s->used)
			found[n++] = (struct found){s->order, t->fresh};
		else
			SLIST_INSERT_HEAD(
			    &t->free, &t->entries[t->fresh], chain);
	}
	qsort(found, n, sizeof(*found), compare);
	for (size_t i = 0; i < n; i++) {
		t->last = found[i].order;
		load(t, found[i].i, keep);
	}
	free(found);
	return (0);
}

bool
table_remove(struct table *t, uint32_t prog, uint32_t vers, uint32_t prot)
{
	struct entry *e;

	SLIST_FOREACH(e, &t->chains[chain_of(t, prog, prot)], chain) {
		if (is_of(e, prog, prot) && e->m.vers == vers) {
			drop(t, e);
			return (true);
		}
	}
	return (false);
}

const struct mapping *
table_first(const struct table *t)
{
	const struct entry *e = TAILQ_FIRST(&t->order);

	return (e == NULL ? NULL : &e->m);
}

const struct mapping *
table_next(const struct mapping *m)
{
	const struct entry *e = (const struct entry *)(const void *)m;

	e = TAILQ_NEXT(e, order);
	return (e == NULL ? NULL : &e->m);
}

const struct mapping *
table_at(const struct table *t, size_t i)
{
	const struct entry *e = &t->entries[i];

	return (e->order.tqe_prev == NULL ? NULL : &e->m);
}

size_t
table_count(const struct table *t)
{
	return (t->count);
}

void
table_tally(const struct table *t, uid_t uid, size_t *of_uid, size_t *of_class)
{
	const struct entry *e;

	*of_uid = *of_class = 0;
	LIST_FOREACH(e, &t->quota, quota) {
		*of_uid += e->m.owner == uid;
		*of_class += pmap_is_system(e->m.owner) == pmap_is_system(uid);
	}
}
