/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SERVICE_H
#define SERVICE_H

#include <rpc/rpc.h>

#include "policy.h"

/*
 * The procedures of program 100000: version 2 (RFC 1833 section 3), and on this
 * host those of versions 3 and 4 by which servers register (section 2).
 */

struct service_options {
	in_port_t port; /* that we listen on, in host byte order */
	enum callit_scope callit;
};

/*
 * Register our dispatchers with libtirpc, which then serves them on every
 * transport; `xprt` is any of these.  Return 0, or -1 when out of memory.
 */
int service_start(SVCXPRT *xprt, const struct service_options *);

#endif
