/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Knows no sockets, no clock, no files and no rights, which are policy's.  Only
 * allocation can fail, and then the table is unchanged.
 *
 * Each entry is in two lists: `order`, which DUMP walks, and the chain of its
 * program and protocol.  A chain is in order of registration, because GETPORT
 * may have to choose among other versions.
 */
#include "table.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

/* One chain for each entry of a full table. */
#define CHAIN_BITS 14
#define CHAINS (1 << CHAIN_BITS)

struct entry {
	struct mapping m; /* first: table_next() casts back */
	TAILQ_ENTRY(entry) order;
	SLIST_ENTRY(entry) chain;
};

SLIST_HEAD(chain, entry);

/* How many entries one uid other than root has. */
struct tally {
	uid_t uid;
	size_t count;
};

struct table {
	TAILQ_HEAD(order, entry) order;
	uint64_t seed;
	uint64_t generation;
	size_t count;
	/* few, by policy's quotas, so searches are linear */
	struct tally *tallies;
	size_t tallies_used;
	size_t tallies_room;
	struct chain chains[CHAINS];
};

struct table *
table_new(uint64_t seed)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return (NULL);
	TAILQ_INIT(&t->order);
	t->seed = seed | 1;
	return (t);
}

void
table_free(struct table *t)
{
	struct entry *e;

	if (t == NULL)
		return;
	while ((e = TAILQ_FIRST(&t->order)) != NULL) {
		TAILQ_REMOVE(&t->order, e, order);
		free(e);
	}
	free(t->tallies);
	free(t);
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

static struct tally *
tally_of(const struct table *t, uid_t uid)
{
	for (size_t i = 0; i < t->tallies_used; i++)
		if (t->tallies[i].uid == uid)
			return (&t->tallies[i]);
	return (NULL);
}

/* Count one more entry of `uid`.  Return 0, or -1 when out of memory. */
static int
tally_up(struct table *t, uid_t uid)
{
	struct tally *tally;

	if (uid == UID_ROOT)
		return (0);
	if ((tally = tally_of(t, uid)) == NULL) {
		if (t->tallies_used == t->tallies_room) {
			size_t room = t->tallies_room * 2 + 4;

			tally = realloc(t->tallies, room * sizeof(*tally));
			if (tally == NULL)
				return (-1);
			t->tallies = tally;
			t->tallies_room = room;
		}
		tally = &t->tallies[t->tallies_used++];
		*tally = (struct tally){.uid = uid};
	}
	tally->count++;
	return (0);
}

static void
tally_down(struct table *t, uid_t uid)
{
	struct tally *tally;

	if (uid == UID_ROOT)
		return;
	tally = tally_of(t, uid);
	assert(tally != NULL); /* table_put() counted the entry */
	if (--tally->count == 0)
		*tally = t->tallies[--t->tallies_used];
}

static void
drop(struct table *t, struct entry *e)
{
	struct chain *chain = &t->chains[chain_of(t, e->m.prog, e->m.prot)];

	SLIST_REMOVE(chain, e, entry, chain);
	TAILQ_REMOVE(&t->order, e, order);
	tally_down(t, e->m.owner);
	t->count--;
	t->generation++;
	free(e);
}

int
table_put(struct table *t, const struct mapping *m)
{
	struct chain *chain = &t->chains[chain_of(t, m->prog, m->prot)];
	struct entry *e, *at, *last = NULL;

	if ((e = malloc(sizeof(*e))) == NULL)
		return (-1);
	e->m = *m;
	if (tally_up(t, m->owner) == -1) {
		free(e);
		return (-1);
	}
	table_remove(t, m->prog, m->vers, m->prot);

	/* at the end of the chain, so that versions stay in order */
	SLIST_FOREACH(at, chain, chain)
		last = at;
	if (last == NULL)
		SLIST_INSERT_HEAD(chain, e, chain);
	else
		SLIST_INSERT_AFTER(last, e, chain);
	TAILQ_INSERT_TAIL(&t->order, e, order);
	t->count++;
	t->generation++;
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

bool
table_remove_all(struct table *t, uint32_t prog, uint32_t vers, uint32_t prot)
{
	bool any = false;

	for (size_t i = 0; i < PMAP_PROTS; i++)
		if (prot == 0 || prot == pmap_prots[i])
			any |= table_remove(t, prog, vers, pmap_prots[i]);
	return (any);
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

size_t
table_count(const struct table *t)
{
	return (t->count);
}

size_t
table_count_owner(const struct table *t, uid_t uid)
{
	const struct tally *tally = tally_of(t, uid);

	return (tally == NULL ? 0 : tally->count);
}

size_t
table_count_class(const struct table *t, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < t->tallies_used; i++)
		if (pmap_is_system(t->tallies[i].uid) == pmap_is_system(uid))
			n += t->tallies[i].count;
	return (n);
}

uint64_t
table_generation(const struct table *t)
{
	return (t->generation);
}
