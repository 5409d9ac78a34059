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
 * everybody waits.  `prot` is IPPROTO_TCP or IPPROTO_UDP; by_user tells whether
 * `user` has such a socket.  Nothing is known if sock_diag fails.
 *
 * The CPU time is charged to the caller for whom this is done, or with NULL to
 * the removal of stale entries.  Each has 1 % of the CPU time, in bursts of 5
 * ms (the user root: 50).  Beyond that, the result of a glance is not known.
 */
struct port_use holder_glance(
    const struct caller *, uint32_t prot, uint32_t port, uid_t user);

/*
 * Search, after a glance whose result is known: this does not look at the
 * limit.  With `also_bound`, find TCP sockets that do not listen, too:
 * sockdiag_dump().
 */
struct port_use holder_search(const struct caller *, uint32_t prot,
    uint32_t port, uid_t user, bool also_bound);

/* Return true if the result of a glance would not be known for now. */
bool holder_must_wait(const struct caller *);

#endif
