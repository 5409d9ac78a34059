/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CROWD_H
#define CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pmap.h"

/*
 * The connections of all doors, and which of them has to go: the idle, those
 * that do not read what they asked for, and at a full door one of the source
 * that holds the most.  A source is an address, or a uid at the local door;
 * all of 127.0.0.0/8 is one, privileged ports apart.
 */
struct member {
	TAILQ_ENTRY(member) entry;
	struct peer peer;
	int64_t active; /* ms: when it last finished something */
	bool owing;     /* it has answers to read before it may go on */
};

enum {
	CROWD_IDLE_MS = 30000
};

/* The part of `full` that is left when the process may have so many
 * descriptors instead of 1024; for other things that have one each, too. */
size_t crowd_share(size_t full, int descriptors);

/*
 * How many connections each door may have when the process may have this
 * many descriptors: network 192, loopback 64, local 192 of 1024, and their
 * part of less.
 */
void crowd_limits(int descriptors);

/* Is this door full? */
bool crowd_is_full(enum door);

/*
 * Who has to leave for one more at a full door: the idlest of the source that
 * holds the most.  NULL: nobody, as root's at the local door never are.
 */
struct member *crowd_victim(enum door);

void crowd_join(struct member *, const struct peer *, int64_t now);
void crowd_leave(struct member *);

/* It has finished something: a call, or reading its answers. */
void crowd_touch(struct member *, int64_t now);

/* It begins to owe us reading, or has read it all. */
void crowd_owe(struct member *, bool owing, int64_t now);

/*
 * Of the source with the most connections that owe us reading the one that
 * has owed it for the longest; NULL: nobody that could go.
 */
struct member *crowd_debtor(void);

/*
 * Who has been idle, or owing, for too long at `now`, or NULL; *next is then
 * when somebody will have been, or INT64_MAX.
 */
struct member *crowd_overdue(int64_t now, int64_t *next);

/* Any one of them, or NULL; how many there are. */
struct member *crowd_any(void);
size_t crowd_count(void);

#endif
