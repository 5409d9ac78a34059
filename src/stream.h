/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "pmap.h"

/*
 * The stream transport: connections over TCP and to the local socket.  A
 * connection buffers only incomplete or unserved calls, and unsent replies.
 */

/*
 * Serve a non-blocking connection, and own it.  At the limit of its origin
 * another connection is closed, or this one.  `may_pass` says that the client
 * may pass descriptors that take long to close: closer.h.
 */
void stream_open(int fd, const struct peer *, bool may_pass);

/*
 * Have close(2) reset a TCP connection: the kernel would keep an orderly end
 * for a minute if the client is silent, and 56,000 have been seen.
 */
void stream_reset_on_close(int fd);

/*
 * Close connections that have been idle or blocked for too long, or whose
 * client has received all; serve those whose debt is paid.  `now` in ms of
 * CLOCK_MONOTONIC.  Return the time of the next call, or INT64_MAX.
 */
int64_t stream_tick(int64_t now);

#endif
