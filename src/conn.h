/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CONN_H
#define CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pmap.h"
#include "source.h"

/*
 * Connection limits, and which connections to close: idle ones, slow readers,
 * and at the limit of an origin one of the source with the most connections.
 * Only decides: knows no sockets and no clock, closes and allocates nothing.
 */
struct conn {
	TAILQ_ENTRY(conn) entry;
	struct peer peer;
	struct source *source;
	int64_t active; /* ms: when it last completed a call or took output */
	bool blocked;   /* it has unsent output, or ends when all is sent */
};

enum {
	CONN_IDLE_MS = 30000
};

/*
 * Scale `full`, a limit for 1024 descriptors, to a process that may have
 * `descriptors`.  Also for other things that need one descriptor each.
 */
size_t conn_share(size_t full, int descriptors);

/*
 * Set the limits for a process that may have this many descriptors: with 1024,
 * they are network 192, loopback 64, local 192.
 */
void conn_limits(int descriptors);

/* Return true if this origin is at its limit. */
bool conn_is_full(enum origin);

/*
 * Return the connection to close at the limit: the one that has been idle
 * longest, of the source with the most, of system accounts or of all others,
 * whichever have more.  NULL if there is none; root's local ones are exempt.
 */
struct conn *conn_victim(enum origin);

/* `now` in ms of CLOCK_MONOTONIC, here and below. */
void conn_add(struct conn *, const struct peer *, int64_t now);
void conn_remove(struct conn *);

/* Note that the connection completed a call, or took some output. */
void conn_touch(struct conn *, int64_t now);

/* Note that the connection has unsent output, or has none any more. */
void conn_set_blocked(struct conn *, bool blocked, int64_t now);

/*
 * Return, of the source with the most blocked connections, the one that has
 * taken no output for the longest time, or NULL; root's local connections are
 * exempt.
 */
struct conn *conn_slowest(void);

/*
 * Return a connection that has been idle (local ones: only blocked) for
 * CONN_IDLE_MS.  If there is none, return NULL, and store in *next when the
 * first one expires, or INT64_MAX.
 */
struct conn *conn_expired(int64_t now, int64_t *next);

/* Return the number of connections. */
size_t conn_count(void);

#endif
