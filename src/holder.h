/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdint.h>

#include "policy.h"

/*
 * Who holds a port: whose sockets are bound to it, by sock_diag.  An exact
 * lookup of 127.0.0.1 comes first.  If it does not decide, a dump follows,
 * which takes longer the more sockets there are, and an exact lookup of each
 * address of this host.  Callers other than root have 10 ms of CPU time a
 * second, all of a class of users together, for what takes long.  The result is
 * FACT_UNKNOWN if that is spent, or if sock_diag fails.  `payer` is the
 * identity of the caller.
 */

/* A SET or an UNSET begins: the first 50 us of its lookups are free. */
void holder_begin(void);

/* Return whether a socket is bound to a port. */
enum fact holder_in_use(uid_t payer, uint32_t prot, uint32_t port);

/* Return whether a socket of `user`, if known, is bound to a port. */
enum fact holder_is(uid_t payer, uint32_t prot, uint32_t port, uid_t user);

/* Return whether a port is in use, and `user` does not hold it. */
enum fact holder_is_other(
    uid_t payer, uint32_t prot, uint32_t port, uid_t user);

#endif
