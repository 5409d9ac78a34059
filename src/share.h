/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SHARE_H
#define SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pmap.h"

/*
 * Who may have how many of what needs a descriptor: connections, and CALLITs in
 * progress.  Limits are per origin; at a limit, one of the source with the most
 * has to go.  A source is a uid on the local socket, and for CALLITs over
 * loopback if it is known; else an address.  127.0.0.0/8 is two sources,
 * privileged ports and others, because a local user can use any of its
 * addresses.
 * Only decides: knows no sockets and no clock, closes and allocates nothing.
 */
enum pool {
	POOL_CONNECTIONS,
	POOL_CALLITS,
	POOLS
};

/* A member of a pool, which the caller embeds in its own structure. */
struct share {
	TAILQ_ENTRY(share) entry;
	struct source *source;
	struct source *group; /* what it has at one service; else = source */
	int64_t active; /* ms: when it last completed a call or took output */
	bool blocked;   /* it has unsent output, or ends when all is sent */
};

enum {
	SHARE_IDLE_MS = 30000,  /* of a connection */
	SHARE_CALLIT_MS = 5000, /* of a CALLIT */
	SHARE_CALLITS_OF_SOURCE = 32,
};

/*
 * Set the limits for a process that may have this many descriptors.  With 1024
 * they are network 192, loopback 64 and local 192 for connections, and network
 * 192 and loopback 64 for CALLITs.
 */
void share_limits(int descriptors);

/* Return true if this origin is at its limit. */
bool share_is_full(enum pool, enum origin);

/*
 * Return what has to go before this caller may have one more, or NULL if there
 * is room, or if nothing may go.  At the limit of a source, it is one of its
 * own; at the limit of an origin, one of the source with the most, of system
 * accounts or of all others, whichever have more.  Of a source it is one that
 * calls the service with the most, and of these the one that has been idle
 * longest.  Connections of root to the local socket are exempt.
 */
struct share *share_victim(enum pool, const struct peer *);

/*
 * Add a member; `service` is the port that a CALLIT calls, else 0.  `now` in ms
 * of CLOCK_MONOTONIC, here and below.
 */
void share_add(struct share *, enum pool, const struct peer *,
    in_port_t service, int64_t now);
void share_remove(struct share *);

/*
 * Note that a connection completed a call or took some output, and whether it
 * has unsent output.
 */
void share_touch(struct share *, bool blocked, int64_t now);

/*
 * Return, of the source with the most blocked connections, the one that has
 * taken no output for the longest time, or NULL; root's local connections are
 * exempt.
 */
struct share *share_slowest(void);

/*
 * Return a member that has been idle for too long; a connection to the local
 * socket, only if it is blocked.  If there is none, return NULL, and store in
 * *next when the first one expires, or INT64_MAX.
 */
struct share *share_expired(enum pool, int64_t now, int64_t *next);

/* Return the number of members. */
size_t share_count(enum pool);

#endif
