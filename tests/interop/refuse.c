/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library for LD_PRELOAD: calls fail as REFUSE says, `passrights` as on
 * kernels before 6.16, `sock_diag` as on kernels without udp_diag and tcp_diag,
 * or `bind=N` for addresses of N bytes.  A seccomp filter cannot do this on
 * i386, whose arguments are in memory.  With `passrights,exit`, _exit(2) waits
 * for a signal, too.  With `cputime`, the thread's CPU clock stands still, and
 * nobody gets into debt, as all that runs for the first time under valgrind
 * would.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/time_types.h>

enum {
	PASSRIGHTS = 83
};

static const char *
refused(void)
{
	const char *what = getenv("REFUSE");

	return (what == NULL ? "" : what);
}

int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == SOL_SOCKET && name == PASSRIGHTS &&
	    strncmp(refused(), "passrights", 10) == 0) {
		errno = ENOPROTOOPT;
		return (-1);
	}
	return ((int)syscall(SYS_setsockopt, fd, level, name, value, len));
}

/* its name in a program with times of 64 bits on i386 */
int __setsockopt64(int fd, int level, int name, const void *value,
    socklen_t len) __attribute__((alias("setsockopt")));

int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	const char *what = refused();

	if (strncmp(what, "bind=", 5) == 0 &&
	    len == (socklen_t)atoi(what + 5)) {
		errno = ENOMEM;
		return (-1);
	}
	return ((int)syscall(SYS_bind, fd, addr, len));
}

void
_exit(int status)
{
	if (strcmp(refused(), "passrights,exit") == 0)
		poll(NULL, 0, -1);
	for (;;)
		syscall(SYS_exit_group, status);
}

/* The first message is an error, which dumps have at their end. */
ssize_t
recv(int fd, void *data, size_t size, int flags)
{
	ssize_t n = syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
	struct nlmsghdr *nlh = data;
	int domain = 0;
	socklen_t len = sizeof(domain);

	if (strcmp(refused(), "sock_diag") != 0 ||
	    n < (ssize_t)NLMSG_LENGTH(sizeof(int)) ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == -1 ||
	    domain != AF_NETLINK)
		return (n);
	if (nlh->nlmsg_type == NLMSG_DONE ||
	    nlh->nlmsg_type == SOCK_DIAG_BY_FAMILY) {
		nlh->nlmsg_type =
		    nlh->nlmsg_flags & NLM_F_MULTI ? NLMSG_DONE : NLMSG_ERROR;
		*(int *)NLMSG_DATA(nlh) = -ENOENT;
	}
	return (n);
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int (*get)(clockid_t, struct timespec *);

	*(void **)&get = dlsym(RTLD_NEXT, "clock_gettime");
	if (clock == CLOCK_THREAD_CPUTIME_ID &&
	    strcmp(refused(), "cputime") == 0) {
		*ts = (struct timespec){0};
		return (0);
	}
	return (get(clock, ts));
}

#ifdef SYS_clock_gettime64
int
__clock_gettime64(clockid_t clock, void *ts)
{
	if (clock == CLOCK_THREAD_CPUTIME_ID &&
	    strcmp(refused(), "cputime") == 0) {
		memset(ts, 0, sizeof(struct __kernel_timespec));
		return (0);
	}
	return ((int)syscall(SYS_clock_gettime64, clock, ts));
}
#endif
