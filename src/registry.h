/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <stdbool.h>

#include "pmap.h"
#include "table.h"

/*
 * Changing the table: what SET and UNSET of whatever version come to.  Each
 * change is judged, done, and written down, in this order; what is refused is
 * logged.
 */

/*
 * Keep this table, which is still empty: the mapper's own entries, at `port`,
 * become its first, and what the journal holds is added.  With `keep`, an
 * entry is never thought dead.  0, or -1 when out of memory.
 */
int registry_open(struct table *, in_port_t port, bool keep);

/* Register a mapping for this peer, who becomes its owner. */
bool registry_set(const struct peer *, struct mapping *);

/*
 * Remove a protocol of a version, or every one with `prot` 0, for this peer:
 * all or nothing.  True when nothing of it is left.
 */
bool registry_unset(
    const struct peer *, uint32_t prog, uint32_t vers, uint32_t prot);

/* Refuse, and log it, what cannot even be asked for. */
bool registry_refuse(
    const struct peer *, enum why, uint32_t proc, uint32_t prog, uint32_t vers);

/* Drop the entries whose port nothing on this host is bound to. */
void registry_sweep(void);

#endif
