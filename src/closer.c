/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of closing matters: first the daemon closes its copies, and then
 * the child, which may block.  So a child waits until the daemon closes a pipe.
 */
#include "closer.h"

#include <errno.h>
#include <stddef.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include "daemon.h"
#include "log.h"

enum {
	CHILDREN_MAX = 64,
	REAP_MS = 1000,
	RETRY_MS = 20
};

static fd_set to_close;
static int highest = -1; /* of these */
static unsigned children;

/* Keep only these connections and `end`, wait, and end with them. */
static void __attribute__((noreturn)) run_child(int end)
{
	int first = 0;
	char byte;

	for (int fd = 0; fd <= FD_SETSIZE; fd++) {
		if (fd < FD_SETSIZE && fd != end && !FD_ISSET(fd, &to_close))
			continue;
		if (first < fd)
			daemon_close_range(first, fd - 1);
		first = fd + 1;
	}
	(void)!read(end, &byte, 1);
	_exit(0);
}

/* Return 0, or -1 with errno if no child can be started. */
static int
start_child(void)
{
	int end[2], error;
	pid_t pid;

	if (pipe2(end, O_CLOEXEC) == -1)
		return (-1);
	if ((pid = fork()) == 0)
		run_child(end[0]);
	error = errno;
	close(end[0]);
	if (pid != -1) {
		children++;
		for (int fd = 0; fd <= highest; fd++)
			if (FD_ISSET(fd, &to_close))
				close(fd);
		FD_ZERO(&to_close);
		highest = -1;
	}
	close(end[1]);
	errno = error;
	return (pid == -1 ? -1 : 0);
}

bool
closer_has_room(void)
{
	return (children < CHILDREN_MAX);
}

void
closer_close(int fd)
{
	shutdown(fd, SHUT_RDWR);
	FD_SET(fd, &to_close);
	if (fd > highest)
		highest = fd;
}

int64_t
closer_tick(int64_t now)
{
	while (children > 0 && waitpid(-1, NULL, WNOHANG) > 0)
		children--;
	if (highest != -1 && children < CHILDREN_MAX && start_child() == -1)
		log_error("closer", errno);
	if (highest != -1)
		return (now + RETRY_MS);
	return (children > 0 ? now + REAP_MS : INT64_MAX);
}
