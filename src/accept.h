/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ACCEPT_H
#define ACCEPT_H

#include <stdint.h>

#include "addrfilt.h"
#include "listen.h"

/* Accepting connections over TCP and to the local socket. */

/*
 * Accept connections to a listening socket.  Close those from the network whose
 * source `acl` does not contain; NULL allows every source.
 */
void accept_start(const struct listen_socket *, const struct addrfilt *acl);

/*
 * Accept again after a pause for lack of descriptors, memory or room, and
 * listen on the abstract name if it could not be opened.  `now` in ms of
 * CLOCK_MONOTONIC.  Return the time of the next call, or INT64_MAX.
 */
int64_t accept_tick(int64_t now);

#endif
