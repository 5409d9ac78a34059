/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SERVICE_H
#define SERVICE_H

#include <rpc/rpc.h>

#include "policy.h"
#include "table.h"

/*
 * The port mapper's program (RFC 1833 section 3), and on the local socket the
 * three procedures of versions 3 and 4 by which servers register (section 2).
 */

/* The port that we are at, and whose CALLITs are served. */
struct service_options {
	in_port_t port;
	enum callit_who callit;
};

/*
 * Answer calls, from this table, which the registry keeps.  `xprt` is any
 * transport: libtirpc then serves us on all of them.  0, or -1 when out of
 * memory.
 */
int service_start(
    SVCXPRT *xprt, const struct table *, const struct service_options *);
void service_stop(void);

#endif
