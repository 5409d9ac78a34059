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
	TABLE_SELF = PMAP_PROTS /* our own entries, first in every DUMP */
};

/*
 * Return a new, empty table, or NULL when out of memory.  `seed` keys the hash,
 * so that nobody can choose program numbers that collide.
 */
struct table *table_new(uint64_t seed);
void table_free(struct table *); /* for tests: the daemon keeps its table */

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
 * and protocol.  Return 0, or -1 when out of memory; then the table is
 * unchanged.
 */
int table_put(struct table *, const struct mapping *m);

/* Remove one entry.  Return false if there was none. */
bool table_remove(struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/*
 * Remove one protocol of a version, or with `prot` 0 all of them.  Return false
 * if there was none.
 */
bool table_remove_all(
    struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/* Return the oldest entry, or the one after `m`; NULL at the end. */
const struct mapping *table_first(const struct table *);
const struct mapping *table_next(const struct mapping *m);

/*
 * Return the number of entries: of all; of one user other than root; of all
 * users of his class, which is system accounts or all others but root.
 */
size_t table_count(const struct table *);
size_t table_count_owner(const struct table *, uid_t uid);
size_t table_count_class(const struct table *, uid_t uid);

/* Return a number that changes with each change of the table. */
uint64_t table_generation(const struct table *);

#endif
