/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DOORS_H
#define DOORS_H

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>

#include "door.h"

/* The sockets of the doors, and connections that were kept over a restart. */

struct door_socket {
	int fd;
	enum door_kind kind;
};

enum {
	DOOR_ADDRS_MAX = 32,
	/* UDP, TCP and the broadcast address of each, what init has opened, and
	   the local door's */
	DOOR_SOCKETS_MAX = 3 * (DOOR_ADDRS_MAX + 1) + DOOR_ADDRS_MAX + 2,
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
 * Take over the `inherited` sockets that init has opened, from descriptor
 * DAEMON_INHERITED on, and open what is planned and not among them: TCP, UDP,
 * and, with port 111, the local door.  Fatal when a port is taken or a living
 * mapper answers at the local door; a local door that cannot be made is a
 * warning, as is a socket of init's that is not a door.  No socket of ours can
 * be shared.
 */
void doors_open(const struct door_plan *, int inherited, struct doors *);

#endif
