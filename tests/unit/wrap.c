/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <grp.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct failure {
	const char *function;
	int countdown; /* calls that still succeed, plus one */
	int error;
} failures[8];
static size_t failures_count;

void
wrap_fail(const char *function, int nth, int error)
{
	assert_true(failures_count < LENGTH(failures));
	failures[failures_count++] = (struct failure){function, nth, error};
}

void
wrap_reset(void)
{
	failures_count = 0;
}

int
wrap_teardown(void **state)
{
	(void)state;
	wrap_reset();
	return (0);
}

static bool
fails(const char *function)
{
	for (size_t i = 0; i < failures_count; i++) {
		struct failure *f = &failures[i];

		if (strcmp(f->function, function) != 0)
			continue;
		if (f->countdown > 1) {
			f->countdown--;
			return (false);
		}
		errno = f->error;
		return (true);
	}
	return (false);
}

#define WRAP(type, failed, name, params, args)                                 \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	type __wrap_##name params                                              \
	{                                                                      \
		return (fails(#name) ? (failed) : __real_##name args);         \
	}

WRAP(void *, NULL, malloc, (size_t n), (n))
WRAP(void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, NULL, realloc, (void *p, size_t n), (p, n))
WRAP(int, -1, setgroups, (size_t n, const gid_t *groups), (n, groups))
WRAP(int, -1, setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
WRAP(int, -1, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
WRAP(int, -1, prctl,
    (int op, unsigned long a, unsigned long b, unsigned long c,
	unsigned long d),
    (op, a, b, c, d))
#if __WORDSIZE == 32 /* what the daemon calls there: _TIME_BITS */
#define __wrap_prctl __wrap___prctl_time64
int __wrap_prctl(
    int, unsigned long, unsigned long, unsigned long, unsigned long);
int
__wrap_prctl(
    int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return (fails("prctl") ? -1 : __real_prctl(op, a, b, c, d));
}
#endif
WRAP(long, -1, syscall,
    (long n, long a, long b, long c, long d, long e, long f),
    (n, a, b, c, d, e, f))
/* a failure with errno 0 is a write that is cut short */
WRAP(ssize_t, errno != 0 ? -1 : __real_write(fd, buf, n / 2), write,
    (int fd, const void *buf, size_t n), (fd, buf, n))
WRAP(ssize_t, -1, recv, (int fd, void *buf, size_t n, int flags),
    (fd, buf, n, flags))
WRAP(ssize_t, -1, sendto,
    (int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
	socklen_t len),
    (fd, buf, n, flags, addr, len))
WRAP(int, -1, socket, (int domain, int type, int protocol),
    (domain, type, protocol))
WRAP(int, -1, getifaddrs, (struct ifaddrs * *all), (all))
