/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdint.h>

#include "policy.h"

/*
 * Whose sockets are bound to a port: sock_diag is asked who receives what
 * arrives there, at 127.0.0.1, 127.0.1.1 and then at each address of this host.
 * A lookup takes about 10 us however many sockets there are.
 */

enum {
	HOLDER_LOOKUPS = 32 /* for one change */
};

/* Begin a SET, an UNSET or a check of an entry, which has so many lookups. */
void holder_begin(unsigned lookups);

/*
 * Look up the sockets that are bound to a port, until one belongs to `user`;
 * UID_UNKNOWN stands for any user.  `prot` is IPPROTO_TCP or IPPROTO_UDP.  The
 * result is not known if sock_diag fails, or if this takes too many lookups.
 */
struct port_use holder_find(uint32_t prot, uint32_t port, uid_t user);

#endif
