/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pmap.h"

/*
 * The registrations, in the order in which they were made.  What finding,
 * adding and removing cost depends on how many versions of one program there
 * are, not on how many entries.  A mapping that was
 * handed out stays valid until the next table_put() or table_remove().
 */
struct table;

enum {
	TABLE_OWN = 2 /* the mapper's own entries, first in every DUMP */
};

/*
 * A new, empty table, or NULL when out of memory.  `seed` keys the index, so
 * that nobody can choose program numbers that all meet in one place.
 */
struct table *table_new(uint64_t seed);
void table_free(struct table *);

/* The entry of exactly this program, version and protocol, or NULL. */
const struct mapping *table_get(
    const struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/*
 * What GETPORT answers: the exact entry, else one of another version of the
 * same program and protocol, root's before others, earlier before later
 * (`rpcinfo -u HOST PROG` asks for version 0), else NULL.
 */
const struct mapping *table_find(
    const struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/* Has root an entry of this program, in whatever version or protocol? */
bool table_has_root(const struct table *, uint32_t prog);

/*
 * Make `m` the entry of its program, version and protocol, as the newest of
 * all; one that was there before is gone.  0, or -1 when out of memory: then
 * nothing has changed.
 */
int table_put(struct table *, const struct mapping *m);

/* Remove one entry; false when there was none. */
bool table_remove(struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/*
 * Remove one protocol of a version, or every one with `prot` 0; false when
 * there was none.
 */
bool table_remove_all(
    struct table *, uint32_t prog, uint32_t vers, uint32_t prot);

/* The oldest entry; the one after `m`; NULL at the end. */
const struct mapping *table_first(const struct table *);
const struct mapping *table_next(const struct mapping *m);

size_t table_count(const struct table *);                  /* of everybody */
size_t table_count_others(const struct table *);           /* not of root */
size_t table_count_owner(const struct table *, uid_t uid); /* not for root */

/* Changes whenever the table does: what was derived from it is then stale. */
uint64_t table_generation(const struct table *);

#endif
