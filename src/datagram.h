/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include <stddef.h>

#include <rpc/rpc.h>

#include "nets.h"

/*
 * The datagram transport.  Datagrams are read many at a time, and the answers
 * sent many at a time.
 */

/*
 * Serve a UDP socket with IP_PKTINFO set.  Strangers that are not in `guests`
 * get no answer; NULL: everybody may ask.  The transport, to be handed to
 * svc_reg(), or NULL when out of memory.
 */
SVCXPRT *datagram_serve(int fd, const struct nets *guests);

/*
 * Send one datagram outside of any call, from `from`, an address of ours, by
 * a socket that is served: 0, or -1 with errno.
 */
int datagram_send(int fd, struct in_addr from, const struct sockaddr_in *to,
    const void *bytes, size_t len);

/* Stop serving them all and close their sockets. */
void datagram_close_all(void);

#endif
