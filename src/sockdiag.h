/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SOCKDIAG_H
#define SOCKDIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <netinet/in.h>

#include "pmap.h"

/*
 * Which sockets are bound to a port of this network namespace: sock_diag(7).
 * Sockets that IPv4 callers reach count: IPv4, and IPv6 unless IPV6_V6ONLY is
 * set; also those of the kernel.  For TCP these are listening sockets, and from
 * Linux 6.8 on those bound without listening.  `prot` is IPPROTO_TCP or
 * IPPROTO_UDP.  Never blocks; any failure yields PORT_UNKNOWN, never PORT_FREE.
 */

/* Open the netlink socket.  Return 0, or -1 with errno. */
int sockdiag_open(void);

/*
 * Look up the socket that receives what arrives for a port of this address on
 * the interface `ifindex`, or 0 for none, and store its owner in *uid.  Exact,
 * and 10 us unless thousands of sockets share the port.  Misses TCP sockets
 * that do not listen, and sockets bound to another interface.
 */
enum port_state sockdiag_exact(
    uint32_t prot, struct in_addr, int ifindex, uint32_t port, uid_t *uid);

/*
 * Look up the socket that calls 127.0.0.1:`port` from `from`, and store its
 * owner in *uid.  Return false if it is not known, or already closed.
 */
bool sockdiag_caller(
    uint32_t prot, const struct sockaddr_in *from, in_port_t port, uid_t *uid);

/* The sockets that are bound to a port. */
struct sockdiag_port {
	enum port_state state;
	bool of_user; /* one belongs to the user in question */
	uid_t lowest; /* uid; sockets of the kernel are root's */
};

/*
 * Look up all sockets that are bound to a port, by a dump that the kernel
 * filters: up to 10 ms with 100,000 sockets.
 */
struct sockdiag_port sockdiag_dump(uint32_t prot, uint32_t port, uid_t user);

#endif
