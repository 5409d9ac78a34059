/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <stdbool.h>

#include "pmap.h"
#include "table.h"

/*
 * All changes of the table after the journal is read: SET and UNSET of every
 * version.  A change is judged, made, and written to the journal, in this
 * order; a refusal is counted and logged.  Knows no RPC.
 */

/*
 * Fill this empty table with our own entries, for `port`, and with those of the
 * journal.  Later changes apply to this table.  With `keep`, no entry is stale.
 * Return 0, or -1 when out of memory.
 */
int registry_open(struct table *, in_port_t port, bool keep);

/*
 * Register a mapping for this caller, who becomes its owner (also in `m`).
 * Return the verdict; a refusal was counted and logged.
 */
enum verdict registry_set(const struct peer *, struct mapping *m);

/*
 * Remove one protocol of a version, or with `prot` 0 all of them: either
 * everything or nothing.  Return VERDICT_OK if nothing of it is left, else why
 * it was refused, which was counted and logged.
 */
enum verdict registry_unset(
    const struct peer *, uint32_t prog, uint32_t vers, uint32_t prot);

/* Count and log the refusal of a SET or UNSET.  Return the verdict. */
enum verdict registry_refuse(
    const struct peer *, enum verdict, uint32_t proc, const struct mapping *);

/*
 * Begin to remove stale entries: those whose port no socket of this host is
 * bound to.  registry_tick() continues.
 */
void registry_sweep(void);

/*
 * Check some more entries.  `now` in ms of CLOCK_MONOTONIC.  Return the time of
 * the next call, or INT64_MAX.
 */
int64_t registry_tick(int64_t now);

#endif
