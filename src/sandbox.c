/* SPDX-License-Identifier: BSD-2-Clause */
#include "sandbox.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static bool disabled, calls_limited, files_limited;

void
sandbox_disable(void)
{
	disabled = true;
}

const char *
sandbox_parts(void)
{
	if (!calls_limited)
		return (files_limited ? "landlock" : "none");
	return (files_limited ? "seccomp,landlock" : "seccomp");
}

/*
 * Deny this process all files that it has not open; to bind and connect TCP
 * sockets; to connect to abstract names of other processes, and to signal them:
 * landlock(7).  What the kernel does not have is left out.  Older systems lack
 * the header linux/landlock.h, and newer bits of it, so these are its numbers.
 */

enum {
	CREATE_RULESET = 444,
	RESTRICT_SELF = 446,
	CREATE_RULESET_VERSION = 1
};

struct ruleset {
	uint64_t files;
	uint64_t tcp;
	uint64_t scoped;
};

/* What each version can limit, from 1 on; for newer ones, use the last row. */
static const struct {
	struct ruleset limits;
	size_t size; /* of the structure in that version */
} versions[] = {
    {{0x1fff, 0, 0}, 8}, {{0x3fff, 0, 0}, 8},
    {{0x7fff, 0, 0}, 8},  /* truncation */
    {{0x7fff, 3, 0}, 16}, /* binding and connecting TCP sockets */
    {{0xffff, 3, 0}, 16}, /* ioctl(2) of devices */
    {{0xffff, 3, 3}, 24}, /* connecting to abstract names; signals */
};

/* Return false if nothing is denied. */
static bool
limit_files(void)
{
	const long newest = sizeof(versions) / sizeof(*versions);
	long version = syscall(CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset limits;
	bool done = false;
	int ruleset;

	if (version < 1)
		return (false);
	if (version > newest)
		version = newest;
	limits = versions[version - 1].limits;
	ruleset = (int)syscall(
	    CREATE_RULESET, &limits, versions[version - 1].size, 0);
	if (ruleset == -1)
		return (false);
	done = syscall(RESTRICT_SELF, ruleset, 0) == 0;
	close(ruleset);
	return (done);
}

#ifdef NO_SECCOMP
static bool
limit_calls(void)
{
	return (false);
}
#else
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#define INT_BITS 0xffffffffu /* the kernel ignores the rest of an int */
/* of the type of a socket; the rest is SOCK_NONBLOCK and SOCK_CLOEXEC */
#define TYPE_BITS 0xfu
/* of clone(2) */
#define NAMESPACE_BITS                                                         \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |           \
	    CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

/* Calls that an architecture does not have are left out by libseccomp. */
static const int always[] = {
    /* the loop and its clock; libc chooses among these */
    SCMP_SYS(select), SCMP_SYS(_newselect), SCMP_SYS(pselect6),
    SCMP_SYS(pselect6_time64), SCMP_SYS(poll), SCMP_SYS(ppoll),
    SCMP_SYS(ppoll_time64), SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64),
    SCMP_SYS(gettimeofday),
    /* a poll() that was stopped */
    SCMP_SYS(restart_syscall),
    /* signals come by signalfd(2) */
    SCMP_SYS(read), SCMP_SYS(rt_sigreturn),
    /* fork() and abort() */
    SCMP_SYS(rt_sigprocmask),
    /* on i386 and s390x glibc has all calls of sockets in this one, whose
       arguments are in memory, where a filter cannot see them */
    SCMP_SYS(socketcall),
    /* calls and replies; what sends is below */
    SCMP_SYS(accept4), SCMP_SYS(recv), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg), SCMP_SYS(recvmmsg_time64), SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(close),
    /* files of /proc/sys/net and /proc/net */
    SCMP_SYS(pread64), SCMP_SYS(getcpu),
    /* the log */
    SCMP_SYS(write), SCMP_SYS(fstat), SCMP_SYS(fstat64), SCMP_SYS(newfstatat),
    SCMP_SYS(fstatat64), SCMP_SYS(statx), SCMP_SYS(getpid), SCMP_SYS(pwrite64),
    SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64),
    /* CALLIT, getifaddrs(3), and the abstract name when it is free again */
    SCMP_SYS(getsockname), SCMP_SYS(getrandom), SCMP_SYS(bind),
    SCMP_SYS(listen), SCMP_SYS(umask),
    /* memory; what may be executed is below */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(exit_group),
    /* children that end with what they close */
    SCMP_SYS(fork), SCMP_SYS(wait4), SCMP_SYS(pipe2), SCMP_SYS(set_robust_list),
    SCMP_SYS(gettid), SCMP_SYS(close_range), SCMP_SYS(rseq)};

/* What an argument of a call must be: `(argument & bits) == value`. */
struct condition {
	unsigned argument;
	uint32_t bits; /* 0 stands for no condition */
	uint32_t value;
};

enum {
	CONDITIONS = 3
};

struct rule {
	int call;
	struct condition only[CONDITIONS];
};

static const struct rule limited[] = {
    /* this flag connects */
    {SCMP_SYS(send), {{3, MSG_FASTOPEN, 0}}},
    {SCMP_SYS(sendto), {{3, MSG_FASTOPEN, 0}}},
    {SCMP_SYS(sendmsg), {{2, MSG_FASTOPEN, 0}}},
    {SCMP_SYS(sendmmsg), {{3, MSG_FASTOPEN, 0}}},
    /* sockets, but none of TCP */
    {SCMP_SYS(socket), {{0, INT_BITS, AF_UNIX}}},
    {SCMP_SYS(socket),
	{{0, INT_BITS, AF_NETLINK}, {2, INT_BITS, NETLINK_ROUTE}}},
    {SCMP_SYS(socket),
	{{0, INT_BITS, AF_NETLINK}, {2, INT_BITS, NETLINK_SOCK_DIAG}}},
    {SCMP_SYS(socket),
	{{0, INT_BITS, AF_INET}, {1, TYPE_BITS, SOCK_DGRAM}, {2, INT_BITS, 0}}},
    {SCMP_SYS(mprotect), {{2, PROT_EXEC, 0}}},
    {SCMP_SYS(mmap2), {{2, PROT_EXEC, 0}}},
#ifdef __s390x__ /* the arguments of one are in memory, of one exchanged */
    {SCMP_SYS(mmap), {{0}}},
    {SCMP_SYS(clone), {{1, NAMESPACE_BITS, 0}}},
#else
    {SCMP_SYS(mmap), {{2, PROT_EXEC, 0}}},
    {SCMP_SYS(clone), {{0, NAMESPACE_BITS, 0}}}, /* fork() */
#endif
};

/* Return 0, or a negative errno. */
static int
allow(scmp_filter_ctx filter, const struct rule *rule)
{
	struct scmp_arg_cmp arguments[CONDITIONS];
	unsigned n = 0;

	for (; n < CONDITIONS && rule->only[n].bits != 0; n++)
		arguments[n] = (struct scmp_arg_cmp){rule->only[n].argument,
		    SCMP_CMP_MASKED_EQ, rule->only[n].bits,
		    rule->only[n].value};
	return (seccomp_rule_add_array(
	    filter, SCMP_ACT_ALLOW, rule->call, n, arguments));
}

static bool
is_tcp_listener(int fd)
{
	int domain, listens;
	socklen_t size = sizeof(int), len = sizeof(int);

	return (
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	    domain != AF_UNIX &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
	    listens);
}

/*
 * Allow connect() on any descriptor but the TCP listeners: connect() to
 * AF_UNSPEC would make a socket of such a one that can connect to others from a
 * privileged port.  Return 0, or a negative errno.
 */
static int
allow_connect(scmp_filter_ctx filter)
{
	int error = 0;
	uint32_t end = 1; /* a power of 2, above the listeners */
	fd_set listeners;

	FD_ZERO(&listeners);
	for (int fd = 0; fd < FD_SETSIZE; fd++) {
		if (!is_tcp_listener(fd))
			continue;
		FD_SET(fd, &listeners);
		while ((uint32_t)fd >= end)
			end *= 2;
	}
	for (uint32_t fd = 0; fd < end && error == 0; fd++)
		if (!FD_ISSET(fd, &listeners))
			error = allow(filter, &(struct rule){SCMP_SYS(connect),
						  {{0, INT_BITS, fd}}});
	for (uint32_t bit = end; bit < FD_SETSIZE && error == 0; bit *= 2)
		error = allow(
		    filter, &(struct rule){SCMP_SYS(connect), {{0, bit, bit}}});
	return (error);
}

/*
 * What is denied fails with ENOSYS, so that libc tries an older call or returns
 * an error, and the kernel logs it.
 */
static bool
limit_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int error = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		if (error == 0)
			error = seccomp_rule_add(
			    filter, SCMP_ACT_ALLOW, always[i], 0);
	for (size_t i = 0; i < sizeof(limited) / sizeof(*limited); i++)
		if (error == 0)
			error = allow(filter, &limited[i]);
	if (error == 0)
		error = allow_connect(filter);
	if (error == 0) {
		/* the most frequent of the calls that need the filter */
		seccomp_syscall_priority(filter, SCMP_SYS(sendmmsg), UINT8_MAX);
		/* older kernels and libraries lack it */
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
		error = seccomp_load(filter);
	}
	seccomp_release(filter);
	if (error != 0)
		log_warning(
		    "sandbox: cannot limit system calls: %s", strerror(-error));
	return (error == 0);
}
#endif

void
sandbox_enter(void)
{
	if (disabled)
		return;
	files_limited = limit_files();
	calls_limited = limit_calls();
}
