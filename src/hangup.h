/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HANGUP_H
#define HANGUP_H

#include <stdbool.h>
#include <stddef.h>

#include "pmap.h"

/* How connections are closed. */

/*
 * Return true if the client of a TCP connection has not acknowledged all
 * `replies`, in bytes: tcp(7).  False for 1 KB or less, which may be left to
 * the kernel: its tcp_max_orphans limits them.
 */
bool hangup_loses(int fd, const struct peer *, size_t replies);

/*
 * Let hangup() drop what hangup_loses() finds.  The kernel would keep it for
 * minutes, and as much as clients make it keep.
 */
void hangup_drop(int fd, const struct peer *, size_t replies);

/* Close a connection, without waiting if it `may_block` (closer.h). */
void hangup(int fd, const struct peer *, bool may_block);

#endif
