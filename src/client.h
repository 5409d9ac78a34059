/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_H
#define CLIENT_H

#include <rpc/rpc.h>

/*
 * The port mapper as the companion programs see it: version 2 over TCP.
 */

/*
 * Connect to the port mapper of `host`, a name or an address; from a
 * privileged port when started by root.  NULL after a line on standard error.
 */
CLIENT *client_open(const char *program, const char *host);

#endif
