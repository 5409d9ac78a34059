/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#ifndef SYS_close_range /* Debian 11 */
#define SYS_close_range 436
#endif

#define PID_FILE "portmap.pid"
#define LOCK_FILE "lock"

enum {
	LOCK_ATTEMPTS = 35,
	LOCK_PAUSE_MS = 20,
	NOTIFY_RETRY_MS = 1000
};

static int ready_fd = -1;
static int pid_fd = -1;
static int lock_fd = -1; /* held until the process ends */
static int notify_fd = -1;
static bool ready_unsent;

void
daemon_close_range(int first, int last)
{
	/* Linux 5.9; glibc has had a function for it only since 2.34 */
	if (syscall(SYS_close_range, first, last, 0) == 0)
		return;
	for (int fd = first; fd <= last && fd < FD_SETSIZE; fd++)
		close(fd);
}

void
daemon_start(void)
{
	int fds[2], status;
	char byte = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		log_fatal("cannot create a pipe: %s", strerror(errno));
	if ((pid = fork()) == -1)
		log_fatal("cannot fork: %s", strerror(errno));
	if (pid == 0) {
		close(fds[0]);
		ready_fd = fds[1];
		setsid();
		return;
	}
	close(fds[1]);
	while (read(fds[0], &byte, 1) == -1 && errno == EINTR)
		;
	/* a child that has ended has logged why */
	if (waitpid(pid, &status, WNOHANG) == pid ||
	    (byte != 'r' && waitpid(pid, &status, 0) == pid))
		exit(WIFEXITED(status) && WEXITSTATUS(status) != 0
			 ? WEXITSTATUS(status)
			 : 1);
	exit(0);
}

static void
write_pid(void)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(pid_fd, 0) == -1 ||
	    pwrite(pid_fd, text, (size_t)n, 0) != n)
		log_warning("cannot write the pid file: %s", strerror(errno));
	/* root believes what is in it: we must not be able to change it */
	close(pid_fd);
	pid_fd = -1;
}

/*
 * Connect to the socket that NOTIFY_SOCKET names: sd_notify(3).  A leading @
 * stands for the NUL of an abstract name.
 */
static void
notify_open(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *name = getenv("NOTIFY_SOCKET");
	size_t len = name == NULL ? 0 : strlen(name);

	if (len == 0)
		return;
	errno = EINVAL;
	if (len >= 2 && len <= sizeof(addr.sun_path) &&
	    (name[0] == '/' || name[0] == '@')) {
		memcpy(addr.sun_path, name, len);
		if (name[0] == '@')
			addr.sun_path[0] = '\0';
		len += offsetof(struct sockaddr_un, sun_path);
		notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (notify_fd != -1 &&
		    connect(notify_fd, (const struct sockaddr *)&addr,
			(socklen_t)len) == 0)
			return;
	}
	log_warning("NOTIFY_SOCKET=%s: %s: the service manager is not "
		    "notified",
	    name, strerror(errno));
	if (notify_fd != -1)
		close(notify_fd);
	notify_fd = -1;
}

/* Return false if the service manager's queue is full. */
static bool
notify_send(const char *text)
{
	return (notify_fd == -1 ||
		send(notify_fd, text, strlen(text),
		    MSG_DONTWAIT | MSG_NOSIGNAL) != -1 ||
		errno != EAGAIN);
}

int64_t
daemon_tick(int64_t now)
{
	static int64_t retry;

	if (ready_unsent && now >= retry) {
		ready_unsent = !notify_send("READY=1");
		retry = now + NOTIFY_RETRY_MS;
	}
	return (ready_unsent ? retry : INT64_MAX);
}

void
daemon_store_fd(int fd)
{
	static char text[] = "FDSTORE=1\nFDNAME=connection";
	struct iovec iov = {text, sizeof(text) - 1};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fd))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};

	if (notify_fd == -1)
		return;
	memset(&control, 0, sizeof(control));
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	(void)sendmsg(notify_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
daemon_ready(void)
{
	int null;

	if (pid_fd != -1)
		write_pid();
	ready_unsent = !notify_send("READY=1");
	if (ready_fd == -1)
		return;
	if (chdir("/") == -1)
		log_fatal("cannot change directory: /: %s", strerror(errno));
	log_detach();
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		close(null);
	}
	if (write(ready_fd, "r", 1) != 1)
		log_fatal("the parent process is gone: %s", strerror(errno));
	close(ready_fd);
	ready_fd = -1;
}

/* Open the run directory, which only we may write.  Return it, or -1. */
static int
open_dir(const char *dir, uid_t uid)
{
	struct stat st;
	int fd;

	if (mkdir(dir, 0755) == -1 && errno != EEXIST)
		return (-1);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	if (fstat(fd, &st) == -1 ||
	    (st.st_uid != geteuid() &&
		(st.st_uid != uid || fchown(fd, geteuid(), getegid()) == -1)) ||
	    fchmod(fd, 0755) == -1) {
		close(fd);
		errno = EPERM;
		return (-1);
	}
	return (fd);
}

/* Exit, and name the instance that is running. */
static void __attribute__((noreturn)) refuse(void)
{
	char text[32] = "";
	ssize_t n = pread(pid_fd, text, sizeof(text) - 1, 0);

	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	log_fatal("already running%s%s: stop that one first",
	    n > 0 ? " as pid " : "", text);
}

static int
open_ours(int dir_fd, const char *name, mode_t mode)
{
	int fd = openat(dir_fd, name,
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode);

	if (fd != -1 && fchmod(fd, mode) == -1) {
		close(fd);
		return (-1);
	}
	return (fd);
}

int
daemon_open(const char *dir, uid_t uid)
{
	int dir_fd;

	notify_open();
	dir_fd = open_dir(dir, uid);
	if (dir_fd != -1) {
		pid_fd = open_ours(dir_fd, PID_FILE, 0644);
		/* 0600, because everyone who can open a file can lock it */
		lock_fd = open_ours(dir_fd, LOCK_FILE, 0600);
	}
	if (pid_fd == -1 || lock_fd == -1) {
		log_warning("no files in %s: %s: a restart loses the mappings: "
			    "create the directory, owned by the user who "
			    "starts portmap",
		    dir, strerror(errno));
		if (pid_fd != -1)
			close(pid_fd);
		pid_fd = -1; /* without the lock it could be another's */
		if (dir_fd != -1)
			close(dir_fd);
		return (-1);
	}
	/* the previous instance may be stopping: `kill ...; portmap` */
	for (int i = 0; flock(lock_fd, LOCK_EX | LOCK_NB) == -1; i++) {
		if (i == LOCK_ATTEMPTS)
			refuse();
		poll(NULL, 0, LOCK_PAUSE_MS);
	}
	return (dir_fd);
}

void
daemon_stopping(void)
{
	notify_send("STOPPING=1");
}
