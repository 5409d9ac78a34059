/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pmap.h"

/*
 * The registrations, in the order in which they were made.  The cost of lookup,
 * insertion and removal depends on the number of versions of one program, not
 * on the number of entries.  A pointer to a mapping that a function returned is
 * valid until that entry is replaced or removed.
 */
struct table;

enum {
	TABLE_SELF = PMAP_PROTS, /* our own entries */
	/* one more: a new entry is added before the one it replaces goes */
	TABLE_SLOTS = ENTRIES_MAX + TABLE_SELF + 1
};

/*
 * What is left of an entry if the process is killed.  A slot counts if `used`
 * is not 0; of two for the same program, version and protocol, the one with the
 * higher `order` does.  From the first one whose `order` is 0 on, none was
 * used.
 */
struct slot {
	uint64_t order; /* of registration */
	struct mapping m;
	uint32_t used;
};
_Static_assert(sizeof(struct slot) == 32, "slots must not change with the ABI");

/*
 * Return a new, empty table, or NULL when out of memory.  `seed` keys the hash,
 * so that nobody can choose program numbers that collide.  Each change is also
 * made in `slots`, so that a kill between two instructions leaves them as they
 * were before or after it.
 */
struct table *table_new(uint64_t seed, struct slot slots[TABLE_SLOTS]);

/*
 * Fill the empty table with the entries in its slots for which `keep` returns
 * true, in order of registration, and free the other slots.  Return 0, or -1
 * when out of memory.
 */
int table_load(
    struct table *, bool (*keep)(const struct table *, const struct mapping *));

/* Return the entry of exactly this program, version and protocol, or NULL. */
const struct mapping *table_lookup(
    const struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/*
 * Return the entry for GETPORT: the exact one; else one of another version of
 * the same program and protocol, root's before others, earlier before later
 * (`rpcinfo -u HOST PROG` asks for version 0); else NULL.
 */
const struct mapping *table_getport(
    const struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/*
 * Return the first entry of a program, in any version and protocol, and the one
 * after `m`; NULL at the end.
 */
const struct mapping *table_first_of(const struct table *, uint32_t prog);
const struct mapping *table_next_of(
    const struct table *, const struct mapping *m);

/*
 * Insert `m` as the newest entry, in place of one of the same program, version
 * and protocol; one of our own program, as the first of all.  There must be
 * fewer than ENTRIES_MAX + TABLE_SELF entries, or such a one.
 */
void table_put(struct table *, const struct mapping *m);

/* Remove one entry.  Return false if there was none. */
bool table_remove(struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/* Return the oldest entry, or the one after `m`; NULL at the end. */
const struct mapping *table_first(const struct table *);
const struct mapping *table_next(const struct mapping *m);

/* Return the entry with this index, below TABLE_SLOTS, or NULL: in any order.
 */
const struct mapping *table_at(const struct table *, size_t i);

size_t table_count(const struct table *);

/*
 * Count the entries of one user other than root, and of all users of that
 * class, which is system accounts or all others but root.
 */
void table_tally(
    const struct table *, uid_t uid, size_t *of_uid, size_t *of_class);

#endif
