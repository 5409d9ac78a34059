/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <grp.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct failure {
	const char *function;
	int countdown; /* calls that still succeed, plus one */
	int error;
	bool by_value; /* only calls with this first argument */
	long value;
	bool once;
} failures[8];
static size_t failures_count;
static long allocated;

void
wrap_fail(const char *function, int nth, int error)
{
	assert_true(failures_count < LENGTH(failures));
	failures[failures_count++] =
	    (struct failure){.function = function, nth, error};
}

void
wrap_fail_value(const char *function, long value, int error)
{
	assert_true(failures_count < LENGTH(failures));
	failures[failures_count++] =
	    (struct failure){function, 1, error, true, value, false};
}

void
wrap_fail_once(const char *function, int error)
{
	wrap_fail(function, 1, error);
	failures[failures_count - 1].once = true;
}

void
wrap_reset(void)
{
	failures_count = 0;
}

long
wrap_allocated(void)
{
	return (allocated);
}

int
wrap_teardown(void **state)
{
	(void)state;
	wrap_reset();
	return (0);
}

static bool
fails_for(const char *function, long value)
{
	for (size_t i = 0; i < failures_count; i++) {
		struct failure *f = &failures[i];

		if (strcmp(f->function, function) != 0 ||
		    (f->by_value && f->value != value))
			continue;
		if (f->countdown > 1) {
			f->countdown--;
			return (false);
		}
		if (f->once)
			f->function = "";
		errno = f->error;
		return (true);
	}
	return (false);
}

static bool
fails(const char *function)
{
	return (fails_for(function, 0));
}

#define WRAP_IF(condition, type, failed, name, params, args)                   \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	type __wrap_##name params                                              \
	{                                                                      \
		return ((condition) ? (failed) : __real_##name args);          \
	}
#define WRAP(type, failed, name, params, args)                                 \
	WRAP_IF(fails(#name), type, failed, name, params, args)

/* Count what is allocated, in place of `old`. */
static void *
count_allocation(const void *old, void *new)
{
	allocated += old == NULL && new != NULL;
	return (new);
}

#define WRAP_ALLOCATION(old, name, params, args)                               \
	void *__real_##name params;                                            \
	void *__wrap_##name params;                                            \
	void *__wrap_##name params                                             \
	{                                                                      \
		return (count_allocation(                                      \
		    old, fails(#name) ? NULL : __real_##name args));           \
	}

WRAP_ALLOCATION(NULL, malloc, (size_t n), (n))
WRAP_ALLOCATION(NULL, calloc, (size_t n, size_t size), (n, size))
WRAP_ALLOCATION(p, realloc, (void *p, size_t n), (p, n))
void __real_free(void *);
void __wrap_free(void *);
void
__wrap_free(void *p)
{
	allocated -= p != NULL;
	__real_free(p);
}

WRAP(int, -1, setgroups, (size_t n, const gid_t *groups), (n, groups))
WRAP(int, -1, setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
WRAP(int, -1, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
WRAP_IF(fails_for("prctl", op), int, -1, prctl,
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
	return (fails_for("prctl", op) ? -1 : __real_prctl(op, a, b, c, d));
}
#endif
WRAP_IF(fails_for("syscall", n), long, -1, syscall,
    (long n, long a, long b, long c, long d, long e, long f),
    (n, a, b, c, d, e, f))
/* a failure with errno 0 is a write that is cut short */
WRAP(ssize_t, errno != 0 ? -1 : __real_write(fd, buf, n / 2), write,
    (int fd, const void *buf, size_t n), (fd, buf, n))
WRAP(int, -1, accept4,
    (int fd, struct sockaddr *addr, socklen_t *len, int flags),
    (fd, addr, len, flags))
WRAP(ssize_t, -1, recv, (int fd, void *buf, size_t n, int flags),
    (fd, buf, n, flags))
/* what older compilers make of it with _FORTIFY_SOURCE */
ssize_t __wrap___recv_chk(int, void *, size_t, size_t, int);
ssize_t
__wrap___recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	(void)room;
	return (__wrap_recv(fd, buf, n, flags));
}
WRAP(ssize_t, -1, send, (int fd, const void *buf, size_t n, int flags),
    (fd, buf, n, flags))
WRAP(ssize_t, -1, sendto,
    (int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
	socklen_t len),
    (fd, buf, n, flags, addr, len))
WRAP(int, -1, socket, (int domain, int type, int protocol),
    (domain, type, protocol))
WRAP(ssize_t, -1, getrandom, (void *buf, size_t n, unsigned flags),
    (buf, n, flags))
WRAP(int, -1, getifaddrs, (struct ifaddrs * *all), (all))

void
need_loopback(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(9),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int failed = connect(fd, (void *)&to, sizeof(to));

	close(fd);
	if (failed)
		skip();
}
