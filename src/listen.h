/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>

/*
 * The sockets that portmap serves: those that the service manager passes, UDP
 * and TCP of its port, and the local socket.  This is /run/rpcbind.sock, and
 * the abstract name @/run/rpcbind.sock, which libtirpc and Linux try first,
 * since 1.3.5 and 6.5.
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
	/* TCP and UDP of each address and of two of lo; two local sockets, and
	   two of IPv6; connections that were kept: FileDescriptorStoreMax in
	   portmap.service */
	LISTEN_INHERITED_MAX = 2 * (LISTEN_ADDRS_MAX + 2) + 4 + 192,
	/* TCP, UDP and the broadcast address of each address and of two of lo;
	   inherited sockets; two local sockets and two of IPv6 */
	LISTEN_SOCKETS_MAX =
	    3 * (LISTEN_ADDRS_MAX + 2) + LISTEN_INHERITED_MAX + 4,
};

struct listen_config {
	in_port_t port; /* in host byte order */
	bool anywhere;  /* all addresses; else 127.0.0.1, 127.0.1.1, these */
	struct in_addr addrs[LISTEN_ADDRS_MAX];
	size_t addrs_count;
};

struct listen_sockets {
	struct listen_socket sockets[LISTEN_SOCKETS_MAX];
	size_t count;
};

/*
 * Return the descriptor after those that this process inherits by socket
 * activation (LISTEN_FDS and LISTEN_PID: sd_listen_fds(3)), and set FD_CLOEXEC
 * on them.  One that is not open is fatal.
 */
int listen_inherited(void);

/* Set the options of a UDP or TCP socket, inherited or not. */
void listen_set_options(int fd, enum listen_kind);

/*
 * Take the inherited sockets, and open TCP, UDP, UDP over IPv6 and, on port
 * 111, the local socket, each only if none of its kind was inherited.  No other
 * program can share our ports.  Exit if a port is in use, or if another port
 * mapper serves the local socket.
 */
void listen_open(const struct listen_config *, struct listen_sockets *set);

/* Return true if listen_open() could not open the abstract name. */
bool listen_is_missing(void);

/*
 * Try again to open the abstract name.  Return true, and store the socket, if
 * that succeeds.
 */
bool listen_retry(struct listen_socket *);

#endif
