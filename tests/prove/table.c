/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table_put() and table_remove() leave the table, and its slots, with the
 * entries, the order and the counts of an array that does the same.
 * table_lookup() and table_getport() find what the array has.  Killed before
 * any store into a slot, the slots have what they had before or after it.
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

#define calloc(n, size) __CPROVER_allocate(size, 1)

/* A full table would be too much for CBMC. */
#include "table.h"
#define TABLE_SLOTS 4

/* Where table_put() has written a slot, and it does not count yet. */
#include <stdatomic.h>
#undef atomic_signal_fence
#define atomic_signal_fence(order) PROVE(s->used == 0)

#include "../../src/table.c"

_Static_assert(CHAINS == 2, "the macro above");

enum {
	CHANGES = 2,
	USERS = 2
};

static struct slot slots[TABLE_SLOTS];
static struct mapping model[CHANGES];
static size_t used;
static const uid_t users[USERS] = {0, 1000};

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
	size_t own = 0, class = 0, of_uid, of_class;

	for (size_t i = 0; i < used; i++) {
		own += model[i].owner == uid;
		class += model[i].owner != 0 &&
			 (model[i].owner <= 999) == (uid <= 999);
	}
	table_tally(t, uid, &of_uid, &of_class);
	PROVE(table_count(t) == used);
	PROVE(of_uid == own);
	PROVE(of_class == class);
	if (used == CHANGES && own == 1)
		REACHED("two entries of two users");
}

static void
agree(const struct table *t)
{
	const struct mapping *m = table_first(t);
	uint64_t last = 0;
	size_t counting = 0;

	for (size_t i = 0; i < TABLE_SLOTS; i++)
		counting += slots[i].used;
	PROVE(counting == used);
	for (size_t i = 0; i < used; i++) {
		PROVE(m != NULL);
		PROVE(is_at(i, m));
		PROVE(m->port == model[i].port && m->owner == model[i].owner);
		for (size_t n = 0; n < TABLE_SLOTS; n++) {
			const struct slot *s = &slots[n];

			if (m != &t->entries[n].m)
				continue;
			PROVE(s->used == 1 && s->order > last);
			PROVE(is_at(i, &s->m) && s->m.port == m->port &&
			      s->m.owner == m->owner);
			last = s->order;
		}
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
	table_put(t, m);
	model_remove(m);
	model[used++] = *m;
}

static void
take(struct table *t, const struct mapping *m)
{
	PROVE(table_remove(t, m->prog, m->vers, m->prot) == model_remove(m));
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
		agree(t);
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
	explore(table_new(1, slots), 0);
}
