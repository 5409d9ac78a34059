/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The one select() loop of the process.  A descriptor has at most one
 * function for "it can be read" and one for "it can be written"; for a
 * transport of libtirpc the first is svc_getreq_common() itself.  Functions
 * may watch and forget any descriptor, their own included.
 */
typedef void loop_fn(int fd);

/*
 * Watch `fd`, which is below FD_SETSIZE, in place of whatever was watched
 * there before.  NULL: not interested; NULL twice: forget it, do so before
 * closing it.
 */
void loop_watch(int fd, loop_fn *on_read, loop_fn *on_write);

/*
 * Call fd's on_read in the next turn even if nothing new has arrived: there
 * is work left over that this turn had no time for.
 */
void loop_again(int fd);

/*
 * From now on the signals TERM, INT, HUP, USR1 and USR2 are events of the
 * loop, handed to `on_signal`; PIPE is ignored.  0, or -1 with errno.
 */
int loop_signals(void (*on_signal)(int sig));

/*
 * Has this turn lasted so long that others should have theirs?  Who finds so
 * and has not begun yet asks for loop_again() and returns.
 */
bool loop_is_late(void);

/* ms of CLOCK_MONOTONIC, asked once a turn. */
int64_t loop_now(void);

/*
 * Run until loop_stop().  `tick` is called each turn with the time and
 * returns when it must be called again at the latest, INT64_MAX for never.
 */
void loop_run(int64_t (*tick)(int64_t now));
void loop_stop(void);

#endif
