/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Background, pid file, readiness: at boot, and once more at exit to empty
 * the pid file.  Only daemon_lock() needs privileges.  What goes wrong is
 * fatal, but for a pid file that cannot be made.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#define PID_FILE "portmap.pid"
#define LOCK_FILE "lock"

enum {
	LOCK_ATTEMPTS = 35,
	LOCK_PAUSE_MS = 20
};

static int ready_fd = -1;
static int pid_fd = -1;
static int lock_fd = -1; /* held for as long as we live */

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

void
daemon_ready(void)
{
	int null;

	if (pid_fd != -1)
		write_pid();
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
daemon_lock(const char *dir)
{
	int dir_fd = open_dir(dir);

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
daemon_unlock(void)
{
	if (pid_fd != -1 && ftruncate(pid_fd, 0) == -1)
		log_warning("cannot empty the pid file: %s", strerror(errno));
}
