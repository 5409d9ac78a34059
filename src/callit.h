/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CALLIT_H
#define CALLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include "wire.h"

/*
 * CALLITs in progress: calls that were forwarded to services of this host, and
 * whose replies are relayed to the callers.  Each has a connected socket, so
 * that only the service can reply; calls are sent with AUTH_NONE from an
 * unprivileged port, so that the service cannot take the caller for root of
 * this host.  Knows neither the table nor the rules.
 */

/* The caller that waits for a reply, and how to send it. */
struct callit_return {
	struct peer peer;
	struct in_addr local_addr; /* of this host, which was called */
	bool here;                 /* the caller is on this host */
	int fd; /* the datagram socket that received the call */
	uint32_t xid;
	size_t reply_max; /* bytes of the longest reply to this caller */
};

/*
 * Call the service at `port` of the address that the caller used.  Its reply,
 * if any, is relayed from the loop.
 */
void callit_start(
    const struct callit_return *, const struct wire_callit *, in_port_t port);

/* Count and log a step or the outcome of a CALLIT. */
void callit_report(enum callit_outcome, const struct peer *, uint32_t prog,
    uint32_t vers, uint32_t proc);

/*
 * Drop the CALLITs without a reply after five seconds.  `now` in ms of
 * CLOCK_MONOTONIC.  Return the time of the next call, or INT64_MAX.
 */
int64_t callit_tick(int64_t now);

#endif
