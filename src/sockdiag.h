/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SOCKDIAG_H
#define SOCKDIAG_H

#include <stdint.h>
#include <sys/types.h>

#include <netinet/in.h>

#include "pmap.h"

/*
 * Sockets of this network namespace: sock_diag(7).  `prot` is IPPROTO_TCP or
 * IPPROTO_UDP.  Never blocks.
 */

/* Open the netlink socket.  Return 0, or -1 with errno. */
int sockdiag_open(void);

/* Whether a socket is bound to a port. */
enum port_state {
	PORT_UNKNOWN, /* sock_diag failed */
	PORT_FREE,
	PORT_BOUND
};

/*
 * Look up the socket that receives what arrives for a port of this address on
 * the interface `ifindex`, and store its owner in *uid: a socket of IPv4, or of
 * IPv6 that also takes IPv4; root's, if it is the kernel's.  Takes about 10 us.
 * Misses TCP sockets that do not listen.
 */
enum port_state sockdiag_exact(
    uint32_t prot, struct in_addr, int ifindex, uint32_t port, uid_t *uid);

/*
 * Return the owner of the socket that calls `port` of the address `to` from
 * `from`, or UID_UNKNOWN if it is not known, or if the socket is already
 * closed.
 */
uid_t sockdiag_caller(uint32_t prot, const struct sockaddr_in *from,
    struct in_addr to, in_port_t port);

/*
 * Call `found` for each socket that is bound to a port at any address, of IPv4
 * and of IPv6; for TCP, if it listens or, from Linux 6.8 on, is only bound.
 * Return 0, or -1 with errno if that may not be all: EBADF if sockdiag_open()
 * has failed.  Takes up to 10 ms with 100,000 sockets; can miss some while
 * others are closed.
 */
int sockdiag_dump(
    uint32_t prot, void (*found)(uint32_t prot, uint32_t port, uid_t uid));

/*
 * By such a dump, store the lowest uid of those who have bound a port, or
 * UID_UNKNOWN if nobody has.  Return as sockdiag_dump().
 */
int sockdiag_lowest(uint32_t prot, uint32_t port, uid_t *uid);

#endif
