/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef IPV6_H
#define IPV6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * UDP over IPv6, only to say no.  libtirpc asks the port mapper over IPv6 if
 * the name of a host has such an address, as Debian's localhost has.  It
 * ignores the ICMP error of a closed port, and would wait for 60 seconds.
 * Nothing is looked up here.
 */

enum {
	IPV6_REPLY_MAX = 32 /* bytes; a call has at least 40 */
};

/*
 * Write the reply to the `len` bytes of a datagram: RFC 5531 section 9.  NULL
 * of version 2 is the only call that succeeds.  Return the length of the reply,
 * or 0 if this is no call.
 */
size_t ipv6_reply(
    const uint8_t *call, size_t len, uint8_t reply[IPV6_REPLY_MAX]);

/*
 * Reply to what arrives at this socket; with `lo_only`, to what was received on
 * lo.  Multicast calls get no reply.
 */
void ipv6_serve(int fd, bool lo_only);

#endif
