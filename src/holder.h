/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

/*
 * Whose sockets are bound to a port.  A glance, which takes 10 us, finds the
 * one that receives what arrives at 127.0.0.1: proof that there is one.  That
 * there is none, or that nobody else has bound the port, is known after a
 * search only, for which the kernel looks at all sockets of the host while
 * everybody waits.  `prot` is IPPROTO_TCP or IPPROTO_UDP; by_user stands for
 * `user`, and UID_UNKNOWN for nobody.
 *
 * The `payer` is the uid for whom this is done.  It takes no more than 1 % of
 * the CPU time for each but root, in bursts of 5 ms.  Beyond that, and if
 * sock_diag fails, the result is not known.
 */
struct port_use holder_glance(
    uid_t payer, uint32_t prot, uint32_t port, uid_t user);

/* With `idle`, find TCP sockets that do not listen, too: sockdiag_dump(). */
struct port_use holder_search(
    uid_t payer, uint32_t prot, uint32_t port, uid_t user, bool idle);

/* Return true if this payer has to wait. */
bool holder_must_wait(uid_t payer);

#endif
