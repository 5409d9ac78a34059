/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SOURCE_H
#define SOURCE_H

#include <stddef.h>

#include "pmap.h"

/*
 * Callers that share limits.  A source is a uid on the local socket, else an
 * address.  127.0.0.0/8 is two sources, privileged ports and others, because a
 * local user can use any of its addresses.
 */
struct source {
	struct peer peer; /* any of its callers */
	size_t count;     /* what it has: connections, or CALLITs in progress */
	size_t blocked;   /* how many of these are blocked: conn.h */
};

/* Return the source of a caller if it has anything, else NULL. */
struct source *source_find(
    struct source *sources, size_t size, const struct peer *);

/*
 * Count one more for the source of a caller, and return it.  There must be as
 * many `sources` as there are things to count; the unused ones have count 0.
 */
struct source *source_add(
    struct source *sources, size_t size, const struct peer *);

#endif
