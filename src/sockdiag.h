/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SOCKDIAG_H
#define SOCKDIAG_H

#include <stdbool.h>
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
 * `from` by the interface `ifindex`, or UID_UNKNOWN if it is not known, if the
 * socket is already closed, or if somebody else may have sent from its port.
 */
uid_t sockdiag_caller(uint32_t prot, const struct sockaddr_in *from,
    struct in_addr to, in_port_t port, int ifindex);

/*
 * Call found() with the owner of each socket that is bound to a port at any
 * address, of IPv4 and of IPv6.  Left out are connected UDP sockets, and TCP
 * sockets that do not listen; with `also_bound`, the latter count as well if
 * they are only bound (from Linux 6.8 on).  Return 0, or -1 with errno if some
 * may be missing: EOVERFLOW if there are hundreds, EBADF if sockdiag_open() has
 * failed.  The kernel looks at all sockets of the host, which takes 0.1 ms, 3
 * ms with `also_bound`, and 0.1 s if there are 100,000.
 */
int sockdiag_dump(uint32_t prot, uint32_t port, bool also_bound,
    void (*found)(uid_t uid, void *arg), void *arg);

#endif
