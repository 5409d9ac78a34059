/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Against descriptors that wait when they are closed.  Root is trusted not to
 * send any: nothing is spent on its connections.
 */
#include "guard.h"

#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static const struct itimerval soon = {.it_value = {.tv_usec = 2000}};
static const struct itimerval never;
static bool needed;

/* What counts is that the signal interrupts. */
static void
on_alarm(int sig)
{
	(void)sig;
}

void
guard_listener(int fd, bool fresh)
{
	const struct sigaction alarm = {.sa_handler = on_alarm};
	int no = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0 &&
	    fresh)
		return;
	needed = sigaction(SIGALRM, &alarm, NULL) == 0;
}

static bool
is_suspect(const struct peer *peer)
{
	return (needed && peer->door == DOOR_LOCAL && peer->uid != OWNER_ROOT);
}

void
guard_begin(const struct peer *peer)
{
	if (is_suspect(peer))
		setitimer(ITIMER_REAL, &soon, NULL);
}

void
guard_end(const struct peer *peer)
{
	if (is_suspect(peer))
		setitimer(ITIMER_REAL, &never, NULL);
}
