/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STREAM_H
#define STREAM_H

#include <stdint.h>

#include "pmap.h"

/*
 * The stream transport: connections by TCP and at the local door, each under
 * libtirpc's svc layer.
 */

/*
 * Serve an accepted, non-blocking connection.  It is closed when it must be,
 * at once when there is no room for it.
 */
void stream_adopt(int fd, const struct peer *);

/*
 * Close what has been idle, or has not read its answers, for too long.  `now`
 * in ms; returns when to be called again, or INT64_MAX.
 */
int64_t stream_tick(int64_t now);

/*
 * At exit: close our copies of all connections.  Those that daemon_keep() has
 * handed over stay open for our successor.
 */
void stream_close_all(void);

#endif
