/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The select() loop of the process.  An iteration waits, then calls the
 * handlers of ready descriptors that are shared, with a budget of 0.5 ms each,
 * and then those of the others until 2 ms are spent.  The next iteration begins
 * with the ones that were not called.
 */
typedef void loop_fn(void *arg);

/*
 * Call on_read(arg) when `fd`, which must be below FD_SETSIZE, is readable, and
 * on_write(arg) when it is writable, in place of earlier handlers.  NULL stands
 * for no interest.  Before closing a descriptor, pass NULL for both.  A handler
 * may call this for any descriptor.
 */
void loop_watch(int fd, loop_fn *on_read, loop_fn *on_write, void *arg);

/*
 * `fd` serves everybody, as a UDP socket does: call its on_read in every
 * iteration, before the others.  For descriptors that are never closed.
 */
void loop_share(int fd);

/* Call fd's on_read in the next iteration even if nothing new has arrived. */
void loop_defer(int fd);

/*
 * From now on handle TERM, INT, HUP, USR1 and USR2 in the loop, by
 * `on_signal`, and ignore PIPE.  Return 0, or -1 with errno.
 */
int loop_signals(void (*on_signal)(int sig));

/*
 * Return true if the budget is spent.  A handler that has more to do then
 * leaves it for the next iteration; see loop_defer().
 */
bool loop_over_budget(void);

/*
 * Return true if this handler has spent its slice of 100 us.  For handlers of
 * which there are hundreds, so that all of them together take less than 100 ms.
 * Reads the clock at each fourth call only, but knows what others have read:
 * what can take long calls loop_clock().
 */
bool loop_over_slice(void);

/* Return the time now, in us of CLOCK_MONOTONIC. */
int64_t loop_clock(void);

/* Return the CPU time that the process has used, in us. */
int64_t loop_cpu_clock(void);

/* Return one of these two. */
static inline int64_t
loop_clock_of(bool cpu)
{
	return (cpu ? loop_cpu_clock() : loop_clock());
}

/* Return the time of this iteration, in ms of CLOCK_MONOTONIC. */
int64_t loop_now(void);

/*
 * Run until loop_stop().  Each iteration calls `tick` with the time; it returns
 * when it must be called again at the latest, or INT64_MAX.
 */
void loop_run(int64_t (*tick)(int64_t now));
void loop_stop(void);

#endif
