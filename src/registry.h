/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <stdbool.h>

#include "pmap.h"
#include "table.h"

/*
 * The table, and all its changes: SET and UNSET of every version.  A change is
 * judged and then made; a refusal is counted and logged.  The caller pays for
 * lookups: debt.h for that of the identity, holder.h for those of ports.  Knows
 * no RPC.
 */

/*
 * Take over this empty table.  Fill it with our own entries, for `port`, and
 * with those that its slots have from an earlier process.  With `keep`, none is
 * removed as stale, and one with an owner is live.  Return 0, or -1 when out of
 * memory.
 */
int registry_open(struct table *, in_port_t port, bool keep);

/* Return the table, to read it. */
const struct table *registry_table(void);

/*
 * Register a mapping for this caller, who becomes its owner (also in `m`).
 * Return the verdict; a refusal was counted and logged.
 */
enum verdict registry_set(struct peer *, struct mapping *m);

/*
 * Remove one protocol of a version, or with `prot` 0 those that the caller may
 * remove.  Return VERDICT_OK unless the caller was refused something and
 * removed nothing; the refusal was counted and logged.
 */
enum verdict registry_unset(
    struct peer *, uint32_t prog, uint32_t vers, uint32_t prot);

/* Count and log the refusal of a SET or UNSET.  Return the verdict. */
enum verdict registry_refuse(
    const struct peer *, enum verdict, uint32_t proc, const struct mapping *);

/*
 * Begin to remove stale entries: those whose port no socket of this host is
 * bound to.  registry_tick() continues, and a line of the log says how many.
 */
void registry_sweep(void);

/*
 * Check some more entries.  `now` in ms of CLOCK_MONOTONIC.  Return the time of
 * the next call, or INT64_MAX.
 */
int64_t registry_tick(int64_t now);

#endif
