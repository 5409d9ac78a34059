/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table_put() and table_remove() leave the table with the entries, the order
 * and the counts of an array that does the same.  table_lookup() and
 * table_getport() find what the array has.  Without memory, table_put() changes
 * nothing.
 *
 * Bound: all sequences of two changes, with any port, of two versions over UDP
 * and of one over TCP, by root or a user.  All entries are in one chain.
 * Run: --unwind 5 --object-bits 12
 */
#include "prove.h"

#include <assert.h>
#include <sys/queue.h>

/* In table.c, SLIST_HEAD() follows CHAIN_BITS, and this one makes it 1. */
#define CHAIN_BITS 1
#pragma push_macro("CHAIN_BITS")
#undef CHAIN_BITS
#undef SLIST_HEAD
#define SLIST_HEAD(name, type)                                                 \
	_Pragma("pop_macro(\"CHAIN_BITS\")") struct name {                     \
		struct type *slh_first;                                        \
	}

/* Allocations fail when the harness says so, which is constant for CBMC. */
static bool malloc_fails, realloc_fails;

#define malloc(n) (malloc_fails ? NULL : __CPROVER_allocate(n, 0))
#define calloc(n, size) __CPROVER_allocate(size, 1)
#define realloc(old, n) any_tallies(old, n)

static void *any_tallies(const void *old, size_t n);

#include "../../src/table.c"

_Static_assert(CHAINS == 2, "the macro above");

enum {
	CHANGES = 2,
	USERS = 2
};

static struct mapping model[CHANGES];
static size_t used;
static const uid_t users[USERS] = {0, 1000};

/* The first room is for four users, and no sequence of changes has more. */
static void *
any_tallies(const void *old, size_t n)
{
	PROVE(old == NULL);
	PROVE(n == 4 * sizeof(struct tally));
	return (realloc_fails
		    ? NULL
		    : __CPROVER_allocate(4 * sizeof(struct tally), 0));
}

static bool
is_at(size_t i, const struct mapping *m)
{
	return (i < used && model[i].prog == m->prog &&
		model[i].vers == m->vers && model[i].prot == m->prot);
}

static bool
model_remove(const struct mapping *m)
{
	bool found = false;

	for (size_t i = 0; i < CHANGES; i++) {
		found |= is_at(i, m);
		if (found && i + 1 < CHANGES)
			model[i] = model[i + 1];
	}
	used -= found;
	return (found);
}

/* Only the port is any number, because constants are simple for CBMC. */
static struct mapping
mapping_of(uint32_t vers, uint32_t prot, uid_t owner)
{
	return ((struct mapping){
	    .prog = 1,
	    .vers = vers,
	    .prot = prot,
	    .port = nondet_u32(),
	    .owner = owner,
	});
}

static void
compare_counts(const struct table *t, uid_t uid)
{
	size_t own = 0, class = 0;

	for (size_t i = 0; i < used; i++) {
		own += model[i].owner == uid;
		class += model[i].owner != 0 &&
			 (model[i].owner <= 999) == (uid <= 999);
	}
	PROVE(table_count(t) == used);
	PROVE(table_count_owner(t, uid) == own);
	PROVE(table_count_class(t, uid) == class);
	if (used == CHANGES && own == 1)
		REACHED("two entries of two users");
}

static void
compare(const struct table *t)
{
	const struct mapping *m = table_first(t);

	for (size_t i = 0; i < used; i++) {
		PROVE(m != NULL);
		PROVE(is_at(i, m));
		PROVE(m->port == model[i].port && m->owner == model[i].owner);
		m = table_next(m);
	}
	PROVE(m == NULL);
	compare_counts(t, 1);
	compare_counts(t, 1000);
}

static void
find(const struct table *t, uint32_t vers)
{
	struct mapping want = mapping_of(vers, IPPROTO_UDP, 0);
	const struct mapping *exact, *near;
	size_t at = CHANGES, other = CHANGES;

	exact = table_lookup(t, want.prog, want.vers, want.prot);
	near = table_getport(t, want.prog, want.vers, want.prot);
	for (size_t i = 0; i < CHANGES; i++) {
		if (is_at(i, &want))
			at = i;
		if (i >= used || model[i].prog != want.prog ||
		    model[i].prot != want.prot)
			continue;
		if (other == CHANGES ||
		    (model[other].owner != 0 && model[i].owner == 0))
			other = i;
	}
	PROVE((exact != NULL) == (at < CHANGES));
	PROVE(exact == NULL || exact->port == model[at].port);
	if (at < CHANGES)
		other = at;
	PROVE((near != NULL) == (other < CHANGES));
	PROVE(near == NULL || (near->port == model[other].port &&
				  near->owner == model[other].owner));
	if (near != NULL && exact == NULL)
		REACHED("another version");
}

static void
put(struct table *t, const struct mapping *m)
{
	uint64_t generation = table_generation(t);

	PROVE(table_put(t, m) == 0);
	PROVE(table_generation(t) != generation);
	model_remove(m);
	model[used++] = *m;
}

static void
take(struct table *t, const struct mapping *m)
{
	uint64_t generation = table_generation(t);
	bool done = table_remove(t, m->prog, m->vers, m->prot);

	PROVE(done == model_remove(m));
	PROVE((table_generation(t) != generation) == done);
}

/* The second allocation, of tallies, is only for the first user. */
static void
put_without_memory(struct table *t, const struct mapping *m)
{
	uint64_t generation = table_generation(t);

	malloc_fails = true;
	PROVE(table_put(t, m) == -1);
	malloc_fails = false;
	if (t->tallies == NULL) {
		realloc_fails = true;
		PROVE(table_put(t, m) == -1);
		REACHED("no memory for tallies");
	}
	PROVE(table_generation(t) == generation);
}

static void explore(struct table *t, size_t changes);

static void
change(struct table *t, uint32_t vers, uint32_t prot, size_t changes)
{
	struct mapping m = mapping_of(vers, prot, 0);

	if (nondet_bool()) {
		take(t, &m);
		explore(t, changes + 1);
	} else {
		for (size_t i = 0; i < USERS; i++) {
			if (nondet_bool())
				continue;
			m.owner = users[i];
			put(t, &m);
			explore(t, changes + 1);
		}
	}
	ASSUME(false);
}

/*
 * Make another change, or compare and end.  Nothing comes after this function,
 * so CBMC knows the pointers of each sequence of changes.
 */
static void
explore(struct table *t, size_t changes)
{
	if (changes == CHANGES) {
		struct mapping m = mapping_of(2, IPPROTO_UDP, 1000);

		put_without_memory(t, &m);
		compare(t);
		find(t, 2);
		find(t, 3);
	} else if (nondet_bool()) {
		change(t, 1, IPPROTO_UDP, changes);
	} else if (nondet_bool()) {
		change(t, 2, IPPROTO_UDP, changes);
	} else {
		change(t, 2, IPPROTO_TCP, changes);
	}
	ASSUME(false);
}

void
prove(void)
{
	/* with this seed, all keys have the same chain */
	explore(table_new(1), 0);
}
