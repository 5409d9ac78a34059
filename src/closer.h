/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLOSER_H
#define CLOSER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Closes connections in which clients may have queued descriptors (SCM_RIGHTS).
 * The kernel closes these with the last copy of the connection: a TCP socket
 * with SO_LINGER blocks close(2), and memory takes long to free.  So a child of
 * the daemon has the last copy, and ends with it: the sockets of a process that
 * ends do not linger, see inet_release() in the kernel's net/ipv4/af_inet.c.
 * At its own end, the daemon leaves all connections to exit(3).
 */

/* Return false while too many children are busy to accept one more. */
bool closer_has_room(void);

/* Shut down a connection, and close it after this iteration. */
void closer_close(int fd);

/*
 * Close what closer_close() was given since the last call.  `now` in ms of
 * CLOCK_MONOTONIC.  Return the time of the next call, or INT64_MAX.
 */
int64_t closer_tick(int64_t now);

#endif
