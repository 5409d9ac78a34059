/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DOOR_H
#define DOOR_H

#include <stdbool.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "pmap.h"

/* The doors: which of them a call came in by. */

enum door_kind {
	DOOR_DATAGRAM, /* UDP */
	DOOR_STREAM,   /* TCP, listening */
	DOOR_UNIX,     /* the local door, listening */
	DOOR_KEPT,     /* a connection to it, kept over a restart */
};

/* Once, while /proc can be read; a warning when it cannot. */
void door_prepare(void);

/*
 * The door of a call that was sent to the address `to` and came in by the
 * interface of index `ifindex`.
 */
enum door door_of(struct in_addr to, int ifindex);

/* Did it come in by the interface lo, so from this very host? */
bool door_is_lo(int ifindex);

/*
 * Fill in who is at the other end of an accepted connection; `peer->from` is
 * known for TCP.  Returns whether it comes from this host, by the interface
 * lo or by the local door.
 */
bool door_meet(int fd, enum door_kind, struct peer *);

/*
 * Source ports below this one are privileged, as the kernel says now
 * (net.ipv4.ip_unprivileged_port_start); 0 when that cannot be known.
 */
unsigned door_privileged(void);

/* The address and interface that came with a datagram, or NULL. */
struct in_pktinfo *door_pktinfo(struct msghdr *);

#endif
