/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * select(), deadlines, and signals as events.  Signals arrive through a
 * signalfd: pselect() would delay them while there is always something to read.
 * No other module reads a clock.
 */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
	BUDGET_US = 2000,
	SHARED_US = 500,
	SLICE_US = 100,
	CHECKS = 4, /* the clock costs a tenth of a pipelined GETPORT */
	SIGNALS = 5 /* kinds that we handle */
};

static struct {
	struct {
		loop_fn *on_read, *on_write;
		void *arg;
	} handlers[FD_SETSIZE];
	fd_set reading, writing;   /* what is watched */
	fd_set readable, writable; /* what is ready in this iteration */
	fd_set shared;             /* what serves everybody */
	fd_set deferred;
	int deferred_count;
	int top;                       /* no descriptor above it is watched */
	int first;                     /* where the next iteration begins */
	int64_t now;                   /* ms */
	int64_t clock;                 /* us, when it was last read */
	int64_t budget_end, slice_end; /* us */
	unsigned checks;               /* of the slice */
	bool served;                   /* something, in this iteration */
	bool running;
	int signal_fd;
	void (*on_signal)(int sig);
} loop;

static int64_t
read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ((int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

int64_t
loop_clock(void)
{
	loop.clock = read_clock(CLOCK_MONOTONIC);
	return (loop.clock);
}

int64_t
loop_cpu_clock(void)
{
	return (read_clock(CLOCK_THREAD_CPUTIME_ID));
}

static int64_t
clock_ms(void)
{
	return (loop_clock() / 1000);
}

static void
put(fd_set *set, int fd, bool in)
{
	if (in)
		FD_SET(fd, set);
	else
		FD_CLR(fd, set);
}

static void
clear_deferred(int fd)
{
	if (FD_ISSET(fd, &loop.deferred)) {
		FD_CLR(fd, &loop.deferred);
		loop.deferred_count--;
	}
}

void
loop_watch(int fd, loop_fn *on_read, loop_fn *on_write, void *arg)
{
	assert(fd >= 0 && fd < FD_SETSIZE);
	loop.handlers[fd].on_read = on_read;
	loop.handlers[fd].on_write = on_write;
	loop.handlers[fd].arg = arg;
	put(&loop.reading, fd, on_read != NULL);
	put(&loop.writing, fd, on_write != NULL);
	if (on_read == NULL && on_write == NULL) {
		/* the next connection may get this number */
		FD_CLR(fd, &loop.readable);
		FD_CLR(fd, &loop.writable);
	} else if (fd > loop.top) {
		loop.top = fd;
	}
	if (on_read == NULL)
		clear_deferred(fd);
}

void
loop_share(int fd)
{
	FD_SET(fd, &loop.shared);
}

void
loop_defer(int fd)
{
	if (loop.handlers[fd].on_read != NULL &&
	    !FD_ISSET(fd, &loop.deferred)) {
		FD_SET(fd, &loop.deferred);
		loop.deferred_count++;
	}
}

/* Read once: a sender of signals must not hold us up. */
static void
on_signals(void *arg)
{
	struct signalfd_siginfo infos[SIGNALS];
	ssize_t n = read(loop.signal_fd, infos, sizeof(infos));

	(void)arg;
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*infos); i++)
		loop.on_signal((int)infos[i].ssi_signo);
}

int
loop_signals(void (*on_signal)(int sig))
{
	static const int handled[SIGNALS] = {
	    SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaddset(&set, handled[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return (-1);
	loop.signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (loop.signal_fd == -1)
		return (-1);
	loop.on_signal = on_signal;
	loop_watch(loop.signal_fd, on_signals, NULL, NULL);
	return (0);
}

bool
loop_over_budget(void)
{
	return (loop_clock() > loop.budget_end);
}

bool
loop_over_slice(void)
{
	if (++loop.checks % CHECKS == 0)
		loop_clock();
	return (loop.clock > loop.slice_end);
}

int64_t
loop_now(void)
{
	if (loop.now == 0)
		loop.now = clock_ms();
	return (loop.now);
}

/* Return how long select() may wait for `deadline`; NULL is without limit. */
static struct timeval *
timeout(int64_t deadline, struct timeval *tv)
{
	int64_t ms = deadline - loop.now;

	if (loop.deferred_count > 0)
		ms = 0;
	else if (deadline == INT64_MAX)
		return (NULL);
	if (ms < 0)
		ms = 0;
	tv->tv_sec = (time_t)(ms / 1000);
	tv->tv_usec = (suseconds_t)(ms % 1000 * 1000);
	return (tv);
}

/* Wait for ready descriptors.  What was deferred counts as readable. */
static void
wait_for_work(int64_t deadline)
{
	struct timeval tv;

	loop.readable = loop.reading;
	loop.writable = loop.writing;
	if (select(loop.top + 1, &loop.readable, &loop.writable, NULL,
		timeout(deadline, &tv)) == -1) {
		if (errno == EBADF)
			abort(); /* a closed descriptor is still watched */
		FD_ZERO(&loop.readable);
		FD_ZERO(&loop.writable);
	}
	if (loop.deferred_count == 0)
		return;
	for (int fd = 0; fd <= loop.top; fd++)
		if (FD_ISSET(fd, &loop.deferred))
			FD_SET(fd, &loop.readable);
}

static void
serve(int fd)
{
	if (FD_ISSET(fd, &loop.writable) && loop.handlers[fd].on_write != NULL)
		loop.handlers[fd].on_write(loop.handlers[fd].arg);
	if (FD_ISSET(fd, &loop.readable) && loop.handlers[fd].on_read != NULL) {
		clear_deferred(fd);
		loop.handlers[fd].on_read(loop.handlers[fd].arg);
	}
}

/* However many others are ready, these have a turn in each iteration. */
static void
serve_shared(void)
{
	for (int fd = 0; fd <= loop.top; fd++) {
		if (!FD_ISSET(fd, &loop.shared) ||
		    !FD_ISSET(fd, &loop.readable))
			continue;
		loop.budget_end = loop_clock() + SHARED_US;
		serve(fd);
		FD_CLR(fd, &loop.readable);
	}
}

/*
 * Call the handlers of ready descriptors from `from` to below `to`.  Handlers
 * may change the sets, so they are read again for each descriptor.  Return the
 * descriptor at which the budget ended, or -1.  Those that are ready and were
 * not served are ready in the next iteration, too.
 */
static int
work(int from, int to)
{
	int64_t now;

	for (int fd = from; fd < to; fd++) {
		if (fd % NFDBITS == 0 && fd + NFDBITS <= to &&
		    (loop.readable.fds_bits[fd / NFDBITS] |
			loop.writable.fds_bits[fd / NFDBITS]) == 0) {
			fd += NFDBITS - 1;
			continue;
		}
		if (!FD_ISSET(fd, &loop.readable) &&
		    !FD_ISSET(fd, &loop.writable))
			continue;
		now = loop_clock();
		if (loop.served && now > loop.budget_end)
			return (fd);
		loop.slice_end = now + SLICE_US;
		loop.checks = 0;
		loop.served = true;
		serve(fd);
	}
	return (-1);
}

void
loop_run(int64_t (*tick)(int64_t now))
{
	int first, stopped_at;
	int64_t us;

	loop.running = true;
	while (loop.running) {
		loop.now = clock_ms();
		wait_for_work(tick(loop.now));
		us = loop_clock();
		loop.now = us / 1000;
		serve_shared();
		loop.budget_end = loop_clock() + BUDGET_US;
		loop.served = false;
		first = loop.first <= loop.top ? loop.first : 0;
		stopped_at = work(first, loop.top + 1);
		if (stopped_at == -1)
			stopped_at = work(0, first);
		/* begin with what was not served, for fairness */
		loop.first = stopped_at == -1 ? first + 1 : stopped_at;
	}
}

void
loop_stop(void)
{
	loop.running = false;
}
