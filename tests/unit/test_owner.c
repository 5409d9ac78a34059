/* SPDX-License-Identifier: BSD-2-Clause */
/* Against the kernel's own tables, with sockets of this process. */
#include "wrap.h"

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "owner.h"

static int
bound(int family, int type, int v6only, uint32_t *port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr *addr = family == AF_INET ? (struct sockaddr *)&four
						  : (struct sockaddr *)&six;
	socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six);
	int fd = socket(family, type, 0);

	assert_true(fd >= 0);
	if (family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
				     &v6only, sizeof(v6only)),
		    0);
	assert_int_equal(bind(fd, addr, len), 0);
	assert_int_equal(getsockname(fd, addr, &len), 0);
	*port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	return (fd);
}

static void
check(int family, int type, uint32_t prot, int v6only, enum bound expected)
{
	uint32_t port;
	uid_t holder;
	int fd = bound(family, type, v6only, &port);

	assert_int_equal(owner_bound(prot, port), expected);
	assert_int_equal(owner_holder(prot, port, &holder), expected);
	assert_int_equal(
	    holder, expected == BOUND_YES ? geteuid() : OWNER_NONE);
	assert_int_equal(
	    owner_holds(prot, port, geteuid()), expected == BOUND_YES);
	assert_false(owner_holds(prot, port, geteuid() + 1));
	assert_false(owner_holds(prot, port, OWNER_NONE));
	close(fd);
	assert_int_equal(owner_bound(prot, port), BOUND_NO);
	assert_false(owner_holds(prot, port, geteuid()));
}

static int
setup(void **state)
{
	(void)state;
	return (owner_open());
}

static int
teardown(void **state)
{
	owner_close();
	return (wrap_teardown(state));
}

static void
test_who_is_bound(void **state)
{
	(void)state;
	check(AF_INET, SOCK_DGRAM, IPPROTO_UDP, 0, BOUND_YES);
	check(AF_INET, SOCK_STREAM, IPPROTO_TCP, 0, BOUND_YES);
	check(AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 0, BOUND_YES);
	check(AF_INET6, SOCK_STREAM, IPPROTO_TCP, 0, BOUND_YES);
	check(AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 1, BOUND_NO);
	check(AF_INET6, SOCK_STREAM, IPPROTO_TCP, 1, BOUND_NO);
}

static void
test_only_that_port(void **state)
{
	uint32_t port;
	int fd = bound(AF_INET, SOCK_DGRAM, 0, &port);

	(void)state;
	assert_int_equal(owner_bound(IPPROTO_TCP, port), BOUND_NO);
	close(fd);
}

static void
test_when_it_cannot_be_known(void **state)
{
	static const char *const functions[] = {"sendto", "recv"};
	uint32_t port;
	int fd = bound(AF_INET, SOCK_DGRAM, 0, &port);

	(void)state;
	for (size_t i = 0; i < LENGTH(functions); i++) {
		for (int nth = 1; nth <= 2; nth++) {
			wrap_fail(functions[i], nth, ENOBUFS);
			assert_int_equal(
			    owner_bound(IPPROTO_UDP, port), BOUND_UNKNOWN);
			wrap_reset();
			/* a broken answer does not spoil the next one */
			assert_int_equal(
			    owner_bound(IPPROTO_UDP, port), BOUND_YES);
			assert_int_equal(
			    owner_bound(IPPROTO_TCP, port), BOUND_NO);
		}
	}
	owner_close();
	assert_int_equal(owner_bound(IPPROTO_UDP, port), BOUND_UNKNOWN);
	assert_false(owner_holds(IPPROTO_UDP, port, geteuid()));
	close(fd);
	wrap_fail("socket", 1, EPROTONOSUPPORT);
	assert_int_equal(owner_open(), -1);
	wrap_reset();
	assert_int_equal(owner_open(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_who_is_bound),
	    T(test_only_that_port),
	    T(test_when_it_cannot_be_known),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
