/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SERVICE_H
#define SERVICE_H

#include <rpc/rpc.h>

#include "policy.h"
#include "table.h"

/*
 * The port mapper's program (RFC 1833 section 3) and the three procedures of
 * version 3 that libtirpc's servers register by, at the local door only.
 */

/* Whose CALLITs are served, and the port that we are at. */
struct service_options {
	in_port_t port;
	enum callit_who callit;
	bool keep; /* entries whose server seems dead */
};

/*
 * Answer calls from this table, which is still empty and outlives the
 * service; the mapper's own entries become its first.  `xprt` is
 * any transport: libtirpc then serves us on all of them.  0, or -1 when out of
 * memory.
 */
int service_start(
    SVCXPRT *xprt, struct table *, const struct service_options *);
/* Drop the entries whose port nothing on this host is bound to. */
void service_sweep(void);

void service_stop(void);

#endif
