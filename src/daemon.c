/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Background, pid file, and what the service manager is told.  Only
 * daemon_open() needs privileges.  What goes wrong is fatal, but for a pid file
 * that cannot be made and a service manager that does not listen.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#define PID_FILE "portmap.pid"
#define LOCK_FILE "lock"

enum {
	LOCK_ATTEMPTS = 35,
	LOCK_PAUSE_MS = 20,
	STATUS_MS = 1000
};

static int ready_fd = -1;
static int pid_fd = -1;
static int lock_fd = -1; /* held for as long as we live */

/* The service manager, and what it was last told. */
static struct {
	int fd;
	const char *news; /* what it is told as soon as it takes it */
	size_t entries;
	int64_t due; /* not told again before, ms */
} manager = {.fd = -1, .news = ""};

static long
number_in(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	long n;

	if (text == NULL)
		return (0);
	n = strtol(text, &end, 10);
	return (end == text || *end != '\0' ? 0 : n);
}

int
daemon_inherited(void)
{
	long n = number_in("LISTEN_FDS");

	if (number_in("LISTEN_PID") != (long)getpid() || n < 0 || n > INT_MAX)
		return (0);
	for (long i = 0; i < n; i++)
		if (fcntl(DAEMON_INHERITED + (int)i, F_SETFD, FD_CLOEXEC) == -1)
			log_fatal("init says that it has opened %ld sockets, "
				  "and number %ld is not open: mend LISTEN_FDS",
			    n, i + 1);
	return ((int)n);
}

void
daemon_start(void)
{
	int fds[2], status;
	char byte = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		log_fatal("cannot make a pipe: %s", strerror(errno));
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
	/* the child has said why, if it has ended; if not, all is well */
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
}

/*
 * sd_notify(3): a datagram to the socket that is named by NOTIFY_SOCKET, where
 * @ stands for the zero byte of an abstract one.
 */
static void
find_manager(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *name = getenv("NOTIFY_SOCKET");
	size_t len = name == NULL ? 0 : strlen(name);

	if (len == 0)
		return;
	if (len < 2 || len > sizeof(addr.sun_path) ||
	    (name[0] != '/' && name[0] != '@')) {
		log_warning("NOTIFY_SOCKET=%s is no socket: who started it is "
			    "not told when it is ready",
		    name);
		return;
	}
	memcpy(addr.sun_path, name, len);
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	len += offsetof(struct sockaddr_un, sun_path);
	manager.fd =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (manager.fd != -1 &&
	    connect(manager.fd, (const struct sockaddr *)&addr,
		(socklen_t)len) == 0)
		return;
	log_warning("NOTIFY_SOCKET=%s: %s: who started it is not told when it "
		    "is ready",
	    name, strerror(errno));
	if (manager.fd != -1)
		close(manager.fd);
	manager.fd = -1;
}

void
daemon_keep(int fd)
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

	if (manager.fd == -1)
		return;
	memset(&control, 0, sizeof(control));
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	(void)sendmsg(manager.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool
has_been_told(size_t entries)
{
	return (manager.fd == -1 ||
		(manager.news[0] == '\0' && manager.entries == entries));
}

/* What it does not take now is told by daemon_tick(). */
static void
tell_manager(size_t entries)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%sSTATUS=%zu entries\n",
	    manager.news, entries);

	if (manager.fd == -1 ||
	    send(manager.fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		return;
	manager.news = "";
	manager.entries = entries;
}

int64_t
daemon_tick(int64_t now, size_t entries)
{
	if (!has_been_told(entries) && now >= manager.due) {
		manager.due = now + STATUS_MS;
		tell_manager(entries);
	}
	return (has_been_told(entries) ? INT64_MAX : manager.due);
}

void
daemon_ready(size_t entries)
{
	int null;

	if (pid_fd != -1)
		write_pid();
	manager.news = "READY=1\n";
	tell_manager(entries);
	if (ready_fd == -1)
		return;
	if (chdir("/") == -1)
		log_fatal("cannot go to /: %s", strerror(errno));
	log_detach();
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		close(null);
	}
	if (write(ready_fd, "r", 1) != 1)
		log_fatal("who started it is gone: %s", strerror(errno));
	close(ready_fd);
	ready_fd = -1;
}

/* Open the run directory, ours and writable by nobody else, or -1. */
static int
open_dir(const char *dir)
{
	struct stat st;
	int fd;

	if (mkdir(dir, 0755) == -1 && errno != EEXIST)
		return (-1);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	if (fstat(fd, &st) == -1 || st.st_uid != geteuid() ||
	    fchmod(fd, 0755) == -1) {
		close(fd);
		errno = EPERM;
		return (-1);
	}
	return (fd);
}

/* Another one is running: say which. */
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

void
daemon_open(const char *dir)
{
	int dir_fd;

	find_manager();
	dir_fd = open_dir(dir);
	if (dir_fd != -1) {
		pid_fd = open_ours(dir_fd, PID_FILE, 0644);
		/* who can open a file can lock it, and keep us from starting */
		lock_fd = open_ours(dir_fd, LOCK_FILE, 0600);
		close(dir_fd);
	}
	if (pid_fd == -1 || lock_fd == -1) {
		log_warning("no pid file in %s: %s: make the directory, owned "
			    "by the user who starts portmap, to have one",
		    dir, strerror(errno));
		return;
	}
	/* the one before may be on its way out: `kill ...; portmap` */
	for (int i = 0; flock(lock_fd, LOCK_EX | LOCK_NB) == -1; i++) {
		if (i == LOCK_ATTEMPTS)
			refuse();
		poll(NULL, 0, LOCK_PAUSE_MS);
	}
}

void
daemon_close(size_t entries)
{
	manager.news = "STOPPING=1\n";
	tell_manager(entries);
	if (pid_fd != -1 && ftruncate(pid_fd, 0) == -1)
		log_warning("cannot empty the pid file: %s", strerror(errno));
}
