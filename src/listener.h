/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdint.h>

#include "door.h"
#include "nets.h"

/* Accepting connections at the doors that are streams. */

/*
 * Accept at a listening socket.  Connections of strangers that are not in
 * `guests` are closed; NULL: everybody may ask.
 */
void listener_serve(int fd, enum door_kind, const struct nets *guests);

/*
 * Listen again after a pause for want of descriptors or memory.  `now` in ms;
 * returns when to be called again, or INT64_MAX.
 */
int64_t listener_tick(int64_t now);

void listener_close_all(void);

#endif
