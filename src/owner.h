/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef OWNER_H
#define OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pmap.h"

/*
 * Who is bound to a port of this network namespace, from the kernel's socket
 * tables (sock_diag(7)).  Sockets that IPv4 callers reach count: IPv4, and
 * IPv6 ones that are not IPv6 only; the kernel's own too.  For TCP these are
 * the listening ones and those bound without listening yet (which kernels
 * before 6.8 do not show).
 */

/* Open the socket to ask by: 0, or -1 with errno; then nothing is known. */
int owner_open(void);
void owner_close(void);

/* Is anything bound to this port?  `prot` is IPPROTO_TCP or IPPROTO_UDP. */
enum bound owner_bound(uint32_t prot, uint32_t port);

/*
 * Return the state of a port as owner_bound() does, and store in *uid whose
 * socket is bound to it: the lowest uid if sockets of several users share the
 * port (the kernel's own sockets are root's), OWNER_NONE if the result is not
 * BOUND_YES.
 */
enum bound owner_holder(uint32_t prot, uint32_t port, uid_t *uid);

/* All ports that something is bound to at one time. */
struct owner_survey {
	bool known[2]; /* of TCP and UDP: was it answered? */
	uint8_t ports[2][PORT_MAX / 8 + 1]; /* a bit for each */
};
void owner_survey(struct owner_survey *);
enum bound owner_survey_bound(
    const struct owner_survey *, uint32_t prot, uint32_t port);

/* Is a socket of `uid` known to be bound to this port? */
bool owner_holds(uint32_t prot, uint32_t port, uid_t uid);

#endif
