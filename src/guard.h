/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUARD_H
#define GUARD_H

#include <stdbool.h>

#include "pmap.h"

/*
 * At the local door a caller can send descriptors along (SCM_RIGHTS, unix(7)),
 * and when nobody else holds them, they are closed in our name: a TCP socket
 * with SO_LINGER then waits for as long as it says.  Kernels from 6.16 let us
 * refuse descriptors.  On others an alarm ends the wait.
 */

/*
 * Refuse descriptors at this listening socket, or see to the alarm: also when
 * it is not `fresh`, as callers that are there already can have sent some.
 */
void guard_listener(int fd, bool fresh);

/* Around recv() and close() of a connection of that peer. */
void guard_begin(const struct peer *);
void guard_end(const struct peer *);

#endif
