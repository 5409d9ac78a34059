/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLOSER_H
#define CLOSER_H

#include <stdbool.h>

/*
 * Closes connections in which clients may have queued descriptors (SCM_RIGHTS).
 * The kernel closes these with the last copy of the connection: a TCP socket
 * with SO_LINGER blocks close(2), and memory takes long to free.  The sockets
 * of a process that ends do not linger: inet_release() in net/ipv4/af_inet.c.
 * So a helper process takes such connections, and its children end with them.
 */

/*
 * Start the helper, unless it runs.  It ends when this process does.  Log a
 * warning if it cannot be started.
 */
void closer_start(void);

/* Return true if closer_close() can take all connections that are open. */
bool closer_has_room(void);

/*
 * At the end: let the helper end, and wait 100 ms at most until it has, so that
 * systemd does not report that it runs on.
 */
void closer_stop(void);

/*
 * Shut down and close a connection without waiting.  Without the helper this is
 * close(2).
 */
void closer_close(int fd);

#endif
