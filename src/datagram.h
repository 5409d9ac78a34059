/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include <stddef.h>

#include <rpc/rpc.h>

#include "addrfilt.h"

/*
 * The UDP transport: one system call receives up to 32 datagrams, and one sends
 * up to eight replies.  Never blocks; a reply that the socket does not take is
 * lost.
 */

/*
 * Serve a UDP socket that has IP_PKTINFO set, or IPV6_RECVPKTINFO.  Do not
 * reply to callers on the network whose address `acl` does not contain; NULL
 * allows every address. Return the transport, for svc_reg(), or NULL when out
 * of memory.
 */
SVCXPRT *datagram_serve(int fd, const struct addrfilt *acl);

/*
 * Send one datagram outside of any call, on a served socket, from the address
 * `from` of this host.  Return 0, or -1 with errno.
 */
int datagram_send(int fd, struct in_addr from, const struct sockaddr_in *to,
    const void *bytes, size_t len);

#endif
