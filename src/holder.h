/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

/* A payer that is no user: the removal of stale entries. */
#define HOLDER_SWEEP ((uid_t)-2)

/*
 * Whose sockets are bound to a port.  A glance, which takes 10 us, finds the
 * one that receives what arrives at 127.0.0.1: proof that there is one.  That
 * there is none, or that nobody else has bound the port, is known after a
 * search only, for which the kernel looks at all sockets of the host while
 * everybody waits.  `prot` is IPPROTO_TCP or IPPROTO_UDP; by_user stands for
 * `user`, and UID_UNKNOWN for nobody.
 *
 * The `payer` is the uid for whom this is done.  For each, it takes no more
 * than 1 % of the CPU time, in bursts of 5 ms (root: 50).  Beyond that, the
 * result of a glance is not known, nor is any if sock_diag fails.
 */
struct port_use holder_glance(
    uid_t payer, uint32_t prot, uint32_t port, uid_t user);

/*
 * Search after a glance whose result is known.  With `also_bound`, find TCP
 * sockets that do not listen, too: sockdiag_dump().
 */
struct port_use holder_search(
    uid_t payer, uint32_t prot, uint32_t port, uid_t user, bool also_bound);

/* Return true if this payer has to wait. */
bool holder_must_wait(uid_t payer);

#endif
