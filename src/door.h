/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DOOR_H
#define DOOR_H

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "pmap.h"

/* The doors: their sockets, and which of them a call came in by. */

enum door_kind {
	DOOR_DATAGRAM, /* UDP */
	DOOR_STREAM,   /* TCP, listening */
	DOOR_UNIX,     /* the local door, listening */
};

struct door_socket {
	int fd;
	enum door_kind kind;
};

enum {
	DOOR_ADDRS_MAX = 32,
	/* UDP, TCP and the broadcast address of each, and the local door's */
	DOOR_SOCKETS_MAX = 3 * (DOOR_ADDRS_MAX + 1) + 2,
};

struct door_plan {
	in_port_t port; /* 111, or what -p says; host byte order */
	bool anywhere;  /* on every address, or else on these and 127.0.0.1 */
	struct in_addr addrs[DOOR_ADDRS_MAX];
	size_t addrs_count;
};

struct doors {
	struct door_socket sockets[DOOR_SOCKETS_MAX];
	size_t count;
};

/*
 * Open what is planned; the local door only with port 111.  Fatal when a port
 * is taken or a living mapper answers at the local door; a local door that
 * cannot be made is a warning.  No socket of ours can be shared.
 */
void door_open(const struct door_plan *, struct doors *);

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
