/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORWARD_H
#define FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include "wire.h"

/*
 * CALLITs under way: calls that were handed on to a service of this host, and
 * whose answers go back to whoever asked.
 */

/* Who waits for the answer, and how it must leave. */
struct forward_caller {
	struct sockaddr_in from;
	struct in_addr local; /* the address of ours that it wrote to */
	int fd;               /* the datagram socket that it came in by */
	uint32_t xid;         /* its own */
	size_t answer_max;    /* the longest answer that it may get */
};

/* Before anything is forwarded: how many may be under way, of so many
 * descriptors in all. */
void forward_limits(int descriptors);

/*
 * Call the service at `port` of the address that the caller wrote to.  Never
 * waits: the answer, if there is one, is relayed from the loop.
 */
void forward_start(
    const struct forward_caller *, const struct wire_callit *, in_port_t port);

/*
 * Give up what has had no answer for too long.  `now` in ms; returns when to
 * be called again, or INT64_MAX.
 */
int64_t forward_tick(int64_t now);

/* How many are under way. */
size_t forward_count(void);

void forward_close_all(void);

#endif
