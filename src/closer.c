/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of closing matters: first the daemon closes its copy of a
 * connection, then the helper, and last the child, which may block.  So the
 * helper waits for a byte from the daemon for each connection, and each child
 * waits until the helper closes a pipe.
 */
#include "closer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"
#include "sandbox.h"

enum {
	BATCH = 32, /* connections that one child takes */
	/* a child may take long: then more connections wait in the socket */
	CHILDREN_MAX = 64,
	REAP_MS = 1000,
	RETRY_MS = 100,
	END_MS = 100,
	MESSAGE = 1024, /* bytes of SO_SNDBUF that one descriptor takes */
	/* descriptors of the helper, after its start */
	CONNECTIONS = 0,
	CLOSED = 1
};

static int connections = -1; /* a socket: descriptors of what we close */
static int closed = -1;      /* a pipe: a byte for each that we have closed */

/* Receive a connection, or -1.  Return false at the end of the daemon. */
static bool
receive_one(int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(*fd))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	const struct cmsghdr *passed;

	if (recvmsg(CONNECTIONS, &msg, 0) != 1 || read(CLOSED, &byte, 1) != 1)
		return (false);
	*fd = -1; /* a security module can take it away */
	if ((passed = CMSG_FIRSTHDR(&msg)) != NULL)
		memcpy(fd, CMSG_DATA(passed), sizeof(*fd));
	return (true);
}

/* Close descriptors in a child that ends with the last copies of them. */
static void
close_in_child(const int *fds, size_t count)
{
	int end[2];
	char byte;
	pid_t pid;

	while (pipe(end) == -1)
		poll(NULL, 0, RETRY_MS);
	while ((pid = fork()) == -1)
		poll(NULL, 0, RETRY_MS);
	if (pid == 0) {
		/* the end of these is the end of the helper */
		close(CONNECTIONS);
		close(CLOSED);
		close(end[1]);
		(void)!read(end[0], &byte, 1);
		_exit(0);
	}
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	close(end[0]);
	close(end[1]);
}

static void __attribute__((noreturn)) run_helper(void)
{
	struct pollfd p = {.fd = CONNECTIONS, .events = POLLIN};
	unsigned children = 0;
	int fds[BATCH];
	size_t count;

	for (;;) {
		while (children > 0 &&
		       waitpid(
			   -1, NULL, children < CHILDREN_MAX ? WNOHANG : 0) > 0)
			children--;
		if (poll(&p, 1, children > 0 ? REAP_MS : -1) != 1)
			continue;
		for (count = 0; count < BATCH && poll(&p, 1, 0) == 1; count++)
			if (!receive_one(&fds[count]))
				_exit(0);
		close_in_child(fds, count);
		children++;
	}
}

/* Keep nothing of the daemon but the two descriptors. */
static void __attribute__((noreturn)) become_helper(int from, int closed_from)
{
	sigset_t all;

	/* only the daemon handles signals; the helper ends after the daemon */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "portmap-closer", 0, 0, 0);
	if (dup2(from, CONNECTIONS) == -1 || dup2(closed_from, CLOSED) == -1)
		_exit(1);
	daemon_close_from(STDERR_FILENO);
	(void)!open("/dev/null", O_RDWR); /* as STDERR_FILENO */
	sandbox_enter_helper();
	run_helper();
}

/* Create the socket pair and the pipe.  Return 0, or -1 with errno. */
static int
open_channels(int sockets[2], int pipe_fds[2])
{
	struct rlimit files;
	int buffer;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == -1)
		return (-1);
	/* RLIMIT_NOFILE also limits the descriptors on their way: unix(7) */
	buffer = (int)(files.rlim_cur / 2 * MESSAGE);
	buffer /= 2; /* the kernel doubles it: socket(7) */
	if (setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &buffer,
		sizeof(buffer)) == 0 &&
	    pipe2(pipe_fds, O_CLOEXEC) == 0)
		return (0);
	close(sockets[0]);
	close(sockets[1]);
	return (-1);
}

void
closer_start(void)
{
	int sockets[2], pipe_fds[2], error;
	pid_t pid = -1;

	if (connections != -1)
		return;
	if (open_channels(sockets, pipe_fds) == 0) {
		if ((pid = fork()) == 0)
			become_helper(sockets[1], pipe_fds[0]);
		error = errno;
		close(sockets[1]);
		close(pipe_fds[0]);
		if (pid == -1) {
			close(sockets[0]);
			close(pipe_fds[1]);
		} else {
			connections = sockets[0];
			closed = pipe_fds[1];
		}
		errno = error;
	}
	if (pid == -1)
		log_warning("cannot start the process that closes connections: "
			    "%s: a local user can make portmap wait",
		    strerror(errno));
}

void
closer_stop(void)
{
	struct pollfd p = {.fd = closed};

	if (connections == -1)
		return;
	close(connections);
	connections = -1;
	/* POLLERR: nobody reads from the pipe any more */
	poll(&p, 1, END_MS);
}

bool
closer_has_room(void)
{
	struct pollfd p = {.fd = connections, .events = POLLOUT};

	/* writable: three quarters of the buffer are free, unix_writable() */
	return (connections == -1 || poll(&p, 1, 0) == 1);
}

void
closer_close(int fd)
{
	static const char byte;
	bool sent = false;

	shutdown(fd, SHUT_RDWR);
	if (connections != -1) {
		sent = daemon_send_fd(connections, fd, &byte, 1);
		if (!sent)
			log_error("closer", errno);
	}
	close(fd);
	if (sent)
		(void)!write(closed, &byte, 1);
}
