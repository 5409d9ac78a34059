/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANGUP_H
#define HANGUP_H

#include <stdbool.h>

#include "pmap.h"

/* How connections are closed. */

/*
 * Return true if the client of a TCP connection has not acknowledged all
 * replies: tcp(7).
 */
bool hangup_loses(int fd, const struct peer *);

/*
 * Let hangup() drop what the client of a TCP connection has not acknowledged.
 * The kernel would keep it for minutes, and as much as clients make it keep.
 */
void hangup_drop(int fd, const struct peer *);

/* Close a connection, without waiting if it `may_block` (closer.h). */
void hangup(int fd, const struct peer *, bool may_block);

#endif
