/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of registrations.  It knows no sockets, no clock, no files and no
 * rights: who may change what is policy's.  Only allocation can fail, and
 * then the table is as it was.
 *
 * Every entry is in two lists: `order`, which DUMP walks, and the chain of
 * its program and protocol, where the versions of a program stay together
 * and in order because GETPORT may answer with another version.
 */
#include "table.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

/* One chain for each entry of a full table. */
#define CHAIN_BITS 14
#define CHAINS (1 << CHAIN_BITS)

struct entry {
	struct mapping m; /* first: a mapping handed out is its entry */
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
	size_t others;
	/* policy's quota keeps the tallies few; they are only ever walked */
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

/* Multiplicative hashing by a secret odd number; the high bits are good. */
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
table_get(const struct table *t, uint32_t prog, uint32_t vers, uint32_t prot)
{
	const struct entry *e;

	SLIST_FOREACH(e, &t->chains[chain_of(t, prog, prot)], chain)
		if (is_of(e, prog, prot) && e->m.vers == vers)
			return (&e->m);
	return (NULL);
}

const struct mapping *
table_find(const struct table *t, uint32_t prog, uint32_t vers, uint32_t prot)
{
	const struct entry *e, *near = NULL;

	SLIST_FOREACH(e, &t->chains[chain_of(t, prog, prot)], chain) {
		if (!is_of(e, prog, prot))
			continue;
		if (e->m.vers == vers)
			return (&e->m);
		if (near == NULL ||
		    (near->m.owner != OWNER_ROOT && e->m.owner == OWNER_ROOT))
			near = e;
	}
	return (near == NULL ? NULL : &near->m);
}

bool
table_has_root(const struct table *t, uint32_t prog)
{
	for (size_t i = 0; i < PMAP_PROTS; i++) {
		uint32_t prot = pmap_prots[i];
		const struct entry *e;

		SLIST_FOREACH(e, &t->chains[chain_of(t, prog, prot)], chain)
			if (is_of(e, prog, prot) && e->m.owner == OWNER_ROOT)
				return (true);
	}
	return (false);
}

static struct tally *
tally_of(const struct table *t, uid_t uid)
{
	for (size_t i = 0; i < t->tallies_used; i++)
		if (t->tallies[i].uid == uid)
			return (&t->tallies[i]);
	return (NULL);
}

/* Count one more entry of `uid`: 0, or -1 when out of memory. */
static int
tally_up(struct table *t, uid_t uid)
{
	struct tally *tally;

	if (uid == OWNER_ROOT)
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
	t->others++;
	return (0);
}

static void
tally_down(struct table *t, uid_t uid)
{
	struct tally *tally;

	if (uid == OWNER_ROOT)
		return;
	tally = tally_of(t, uid);
	assert(tally != NULL); /* whoever has an entry is counted */
	t->others--;
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
table_count_others(const struct table *t)
{
	return (t->others);
}

size_t
table_count_owner(const struct table *t, uid_t uid)
{
	const struct tally *tally = tally_of(t, uid);

	return (tally == NULL ? 0 : tally->count);
}

uint64_t
table_generation(const struct table *t)
{
	return (t->generation);
}
