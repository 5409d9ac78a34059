/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * select(), deadlines, and signals as events.  Signals come through a
 * signalfd: with pselect() they would starve while there is always something
 * to read.  The only place that asks the clock.
 */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
	TURN_MS = 10,
	SIGNALS = 5 /* kinds that we handle */
};

static struct {
	loop_fn *on_read[FD_SETSIZE];
	loop_fn *on_write[FD_SETSIZE];
	fd_set reading, writing;   /* what is watched */
	fd_set readable, writable; /* what select() found, still to be done */
	fd_set again;
	int again_count;
	int top;   /* no descriptor above it is watched */
	int first; /* where the next turn begins: nobody is always last */
	int64_t now;
	bool running;
	void (*on_signal)(int sig);
} loop;

static int64_t
clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

static void
put(fd_set *set, int fd, bool in)
{
	if (in)
		FD_SET(fd, set);
	else
		FD_CLR(fd, set);
}

void
loop_watch(int fd, loop_fn *on_read, loop_fn *on_write)
{
	assert(fd >= 0 && fd < FD_SETSIZE);
	loop.on_read[fd] = on_read;
	loop.on_write[fd] = on_write;
	put(&loop.reading, fd, on_read != NULL);
	put(&loop.writing, fd, on_write != NULL);
	if (on_read == NULL && on_write == NULL) {
		/* the number may soon be another connection's */
		FD_CLR(fd, &loop.readable);
		FD_CLR(fd, &loop.writable);
	} else if (fd > loop.top) {
		loop.top = fd;
	}
	if (on_read == NULL && FD_ISSET(fd, &loop.again)) {
		FD_CLR(fd, &loop.again);
		loop.again_count--;
	}
}

void
loop_again(int fd)
{
	if (loop.on_read[fd] != NULL && !FD_ISSET(fd, &loop.again)) {
		FD_SET(fd, &loop.again);
		loop.again_count++;
	}
}

/* Those that are there, each kind once: who sends more is not to hold us up. */
static void
read_signals(int fd)
{
	struct signalfd_siginfo infos[SIGNALS];
	ssize_t n = read(fd, infos, sizeof(infos));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*infos); i++)
		loop.on_signal((int)infos[i].ssi_signo);
}

int
loop_signals(void (*on_signal)(int sig))
{
	static const int handled[SIGNALS] = {
	    SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaddset(&set, handled[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return (-1);
	if ((fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) == -1)
		return (-1);
	loop.on_signal = on_signal;
	loop_watch(fd, read_signals, NULL);
	return (0);
}

bool
loop_is_late(void)
{
	return (clock_ms() - loop.now > TURN_MS);
}

int64_t
loop_now(void)
{
	if (loop.now == 0)
		loop.now = clock_ms();
	return (loop.now);
}

/* How long select() may wait: until `deadline`, or for ever. */
static struct timeval *
patience(int64_t deadline, struct timeval *tv)
{
	int64_t ms = deadline - loop.now;

	if (loop.again_count > 0)
		ms = 0;
	else if (deadline == INT64_MAX)
		return (NULL);
	if (ms < 0)
		ms = 0;
	tv->tv_sec = (time_t)(ms / 1000);
	tv->tv_usec = (suseconds_t)(ms % 1000 * 1000);
	return (tv);
}

/* Wait for something to do; what was left over counts as readable. */
static void
wait_for_work(int64_t deadline)
{
	struct timeval tv;
	fd_set again = loop.again;
	int left_over = loop.again_count;

	loop.readable = loop.reading;
	loop.writable = loop.writing;
	if (select(loop.top + 1, &loop.readable, &loop.writable, NULL,
		patience(deadline, &tv)) == -1) {
		if (errno != EINTR)
			abort(); /* a closed descriptor was not forgotten */
		FD_ZERO(&loop.readable);
		FD_ZERO(&loop.writable);
	}
	if (left_over > 0) {
		FD_ZERO(&loop.again);
		loop.again_count = 0;
		for (int fd = 0; fd <= loop.top; fd++)
			if (FD_ISSET(fd, &again))
				FD_SET(fd, &loop.readable);
	}
}

static void
serve(int fd)
{
	if (FD_ISSET(fd, &loop.writable) && loop.on_write[fd] != NULL)
		loop.on_write[fd](fd);
	if (FD_ISSET(fd, &loop.readable) && loop.on_read[fd] != NULL)
		loop.on_read[fd](fd);
}

/*
 * Each descriptor found once, those from `from` to below `to`.  The sets are
 * looked at anew each time: what a function forgets is no longer in them.
 */
static void
work(int from, int to)
{
	for (int fd = from; fd < to; fd++) {
		if (fd % NFDBITS == 0 && fd + NFDBITS <= to &&
		    (loop.readable.fds_bits[fd / NFDBITS] |
			loop.writable.fds_bits[fd / NFDBITS]) == 0)
			fd += NFDBITS - 1;
		else
			serve(fd);
	}
}

void
loop_run(int64_t (*tick)(int64_t now))
{
	int first;

	loop.running = true;
	while (loop.running) {
		loop.now = clock_ms();
		wait_for_work(tick(loop.now));
		loop.now = clock_ms();
		/* descriptors are low; rotate among those that there are */
		first = loop.first <= loop.top ? loop.first : 0;
		loop.first = first + 1;
		work(first, loop.top + 1);
		work(0, first);
	}
}

void
loop_stop(void)
{
	loop.running = false;
}
