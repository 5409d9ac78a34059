/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>

/*
 * The sockets that portmap serves.  Opens those of the port; inherit.h takes
 * sockets from the service manager, and local.h opens the local socket.
 */

enum listen_kind {
	LISTEN_UDP,
	LISTEN_UDP6, /* says no: ORIGIN_IPV6 */
	LISTEN_TCP,
	LISTEN_UNIX,
	/*
	 * Not a listener: a connection of root to the local socket, which the
	 * service manager kept across our restart.
	 */
	LISTEN_KEPT
};

struct listen_socket {
	int fd;
	enum listen_kind kind;
	bool may_pass; /* clients can pass descriptors: unix(7) */
};

enum {
	LISTEN_ADDRS_MAX = 32,
	/* TCP and UDP of each address, and connections that were kept */
	LISTEN_INHERITED_MAX = 2 * LISTEN_ADDRS_MAX + 16,
	/* TCP, UDP and the broadcast address of each address and of 127.0.0.1;
	   inherited sockets; two local sockets and one of IPv6 */
	LISTEN_SOCKETS_MAX =
	    3 * (LISTEN_ADDRS_MAX + 1) + LISTEN_INHERITED_MAX + 3,
};

struct listen_config {
	in_port_t port; /* in host byte order */
	bool anywhere;  /* all addresses; else 127.0.0.1 and these */
	struct in_addr addrs[LISTEN_ADDRS_MAX];
	size_t addrs_count;
};

struct listen_sockets {
	struct listen_socket sockets[LISTEN_SOCKETS_MAX];
	size_t count;
};

enum {
	/* when it is full, the connections of others wait for a second */
	LISTEN_BACKLOG = 4096
};

/* Add a socket; there is room for all that we can have. */
void listen_add(struct listen_sockets *, const struct listen_socket *);

/* Set the options of a UDP or TCP socket, inherited or not. */
void listen_set_options(int fd, enum listen_kind);

/*
 * Open TCP and UDP sockets and add them, each kind only if `set` has none, and
 * UDP over IPv6 if there is no UDP.  No other program can share our ports. Exit
 * if a port is in use.
 */
void listen_open(const struct listen_config *, struct listen_sockets *set);

#endif
