/* SPDX-License-Identifier: BSD-2-Clause */
/* Against the kernel's own tables, with sockets of this process. */
#include "wrap.h"

#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "sockdiag.h"

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

static enum port_state
find(uint32_t prot, uint32_t port, uid_t *uid)
{
	return (sockdiag_exact(
	    prot, (struct in_addr){htonl(INADDR_LOOPBACK)}, 0, port, uid));
}

static uid_t dumped_uid;
static unsigned dumped;

static void
note(uid_t uid, void *arg)
{
	assert_ptr_equal(arg, &dumped);
	dumped++;
	dumped_uid = uid;
}

/* Return how many sockets a dump shows at a port, or -1. */
static int
dump(uint32_t prot, uint32_t port)
{
	dumped = 0;
	return (sockdiag_dump(prot, port, false, note, &dumped) == -1
		    ? -1
		    : (int)dumped);
}

static void
check(int family, int type, uint32_t prot, int v6only, enum port_state expected)
{
	uint32_t port;
	uid_t uid;
	int fd = bound(family, type, v6only, &port);

	assert_int_equal(dump(prot, port), 1);
	assert_int_equal(dumped_uid, geteuid());
	assert_int_equal(dump(prot, port - 1) + dump(prot, port + 1), 0);
	assert_int_equal(
	    dump(prot == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP, port), 0);
	assert_int_equal(find(prot, port, &uid), expected);
	assert_int_equal(uid, expected == PORT_BOUND ? geteuid() : UID_UNKNOWN);
	close(fd);
	assert_int_equal(dump(prot, port), 0);
	assert_int_equal(find(prot, port, &uid), PORT_FREE);
}

static int
setup(void **state)
{
	(void)state;
	return (sockdiag_open());
}

static void
test_who_is_bound(void **state)
{
	(void)state;
	check(AF_INET, SOCK_DGRAM, IPPROTO_UDP, 0, PORT_BOUND);
	check(AF_INET, SOCK_STREAM, IPPROTO_TCP, 0, PORT_BOUND);
	check(AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 0, PORT_BOUND);
	check(AF_INET6, SOCK_STREAM, IPPROTO_TCP, 0, PORT_BOUND);
	check(AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 1, PORT_FREE);
	check(AF_INET6, SOCK_STREAM, IPPROTO_TCP, 1, PORT_FREE);
}

static uid_t
caller_of(uint32_t prot, const struct sockaddr_in *from, uint32_t port)
{
	return (sockdiag_caller(prot, from,
	    (struct in_addr){htonl(INADDR_LOOPBACK)}, (in_port_t)port, 1));
}

/* The calling socket, connected or not, over both protocols. */
static void
test_caller(void **state)
{
	static const struct {
		int type;
		uint32_t prot;
		in_addr_t bound;
		bool connected, known;
	} cases[] = {
	    {SOCK_STREAM, IPPROTO_TCP, INADDR_LOOPBACK, true, true},
	    {SOCK_DGRAM, IPPROTO_UDP, INADDR_LOOPBACK, true, true},
	    {SOCK_DGRAM, IPPROTO_UDP, INADDR_ANY, false, true},
	    /* others can bind this port of 127.0.0.2, and send from it */
	    {SOCK_DGRAM, IPPROTO_UDP, INADDR_LOOPBACK, false, false},
	};

	(void)state;
	need_loopback();
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct sockaddr_in from = {.sin_family = AF_INET,
				       .sin_addr = {htonl(cases[i].bound)}},
				   to = from;
		socklen_t len = sizeof(from);
		uint32_t prot = cases[i].prot, port;
		int server = bound(AF_INET, cases[i].type, 0, &port);
		int fd = socket(AF_INET, cases[i].type, 0);

		to.sin_port = htons((in_port_t)port);
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		assert_int_equal(bind(fd, (void *)&from, len), 0);
		if (cases[i].connected)
			assert_int_equal(connect(fd, (void *)&to, len), 0);
		assert_int_equal(getsockname(fd, (void *)&from, &len), 0);
		from.sin_addr = to.sin_addr;
		assert_int_equal(caller_of(prot, &from, port),
		    cases[i].known ? geteuid() : UID_UNKNOWN);
		close(fd);
		assert_int_equal(caller_of(prot, &from, port), UID_UNKNOWN);
		close(server);
	}
}

/* The caller is bound to lo, and others listen on its port, or on none. */
static void
test_a_caller_is_no_listener(void **state)
{
	struct sockaddr_in from = {.sin_family = AF_INET},
			   to = {.sin_family = AF_INET,
			       .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct linger reset = {.l_onoff = 1};
	const int yes = 1;
	socklen_t len = sizeof(from);
	uint32_t port;
	int server = bound(AF_INET, SOCK_STREAM, 0, &port), fds[2];

	(void)state;
	need_loopback();
	for (int i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR,
				     &yes, sizeof(yes)),
		    0);
		if (i == 0)
			assert_int_equal(setsockopt(fds[i], SOL_SOCKET,
					     SO_BINDTODEVICE, "lo", 2),
			    0);
		assert_int_equal(
		    bind(fds[i], (struct sockaddr *)&from, len), 0);
		getsockname(fds[i], (struct sockaddr *)&from, &len);
	}
	to.sin_port = htons((in_port_t)port);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&to, len), 0);
	assert_int_equal(listen(fds[1], 1), 0);
	getsockname(fds[0], (struct sockaddr *)&from, &len);
	assert_int_equal(caller_of(IPPROTO_TCP, &from, port), geteuid());
	setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[0]);
	assert_int_equal(caller_of(IPPROTO_TCP, &from, port), UID_UNKNOWN);
	close(fds[1]);
	close(server);
}

static void
test_when_it_cannot_be_known(void **state)
{
	static const char *const functions[] = {"sendto", "recv"};
	uint32_t port;
	uid_t uid;
	int fd = bound(AF_INET, SOCK_DGRAM, 0, &port);

	(void)state;
	for (size_t i = 0; i < LENGTH(functions); i++) {
		for (int nth = 1; nth <= 2; nth++) {
			wrap_fail(functions[i], nth, ENOBUFS);
			assert_int_equal(dump(IPPROTO_UDP, port), -1);
			wrap_reset();
			/* a broken reply does not spoil the next one */
			assert_int_equal(dump(IPPROTO_UDP, port), 1);
			assert_int_equal(
			    find(IPPROTO_UDP, port, &uid), PORT_BOUND);
			assert_int_equal(
			    find(IPPROTO_TCP, port, &uid), PORT_FREE);
		}
		wrap_fail(functions[i], 1, ENOBUFS);
		assert_int_equal(find(IPPROTO_UDP, port, &uid), PORT_UNKNOWN);
		wrap_reset();
		assert_int_equal(find(IPPROTO_UDP, port, &uid), PORT_BOUND);
	}
	close(fd);
	wrap_fail("socket", 1, EPROTONOSUPPORT);
	assert_int_equal(sockdiag_open(), -1);
	wrap_reset();
	assert_int_equal(find(IPPROTO_UDP, port, &uid), PORT_UNKNOWN);
	assert_int_equal(dump(IPPROTO_UDP, port), -1);
}

/* Those of one port, and only if no socket can be missing. */
static void
test_many_sockets(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	const int yes = 1;
	int fds[600], count = 0;
	uint32_t port;

	(void)state;
	for (int i = 0; i < 600; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		assert_true(fd >= 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		assert_int_equal(
		    bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		getsockname(fd, (struct sockaddr *)&addr, &len);
		fds[count++] = fd;
		port = ntohs(addr.sin_port);
		if (count == 200)
			assert_int_equal(dump(IPPROTO_UDP, port), 200);
	}
	errno = 0;
	assert_int_equal(dump(IPPROTO_UDP, port), -1);
	assert_int_equal(errno, EOVERFLOW);
	/* they do not matter for another port, nor later */
	assert_int_equal(dump(IPPROTO_UDP, port + 1), 0);
	while (count > 0)
		close(fds[--count]);
	assert_int_equal(dump(IPPROTO_UDP, port), 0);
}

/* A connected UDP socket is no server's. */
static void
test_connected(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint32_t port;
	int fd = bound(AF_INET, SOCK_DGRAM, 0, &port);

	(void)state;
	to.sin_port = htons(9);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(dump(IPPROTO_UDP, port), 1);
	assert_int_equal(connect(fd, (void *)&to, sizeof(to)), 0);
	assert_int_equal(dump(IPPROTO_UDP, port), 0);
	close(fd);
}

static void
test_bound_to_an_interface(void **state)
{
	const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), lo = (int)if_nametoindex("lo");
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	uint32_t port;
	uid_t uid;

	(void)state;
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	getsockname(fd, (struct sockaddr *)&addr, &len);
	port = ntohs(addr.sin_port);
	assert_int_equal(
	    sockdiag_exact(IPPROTO_UDP, loopback, 0, port, &uid), PORT_FREE);
	assert_int_equal(
	    sockdiag_exact(IPPROTO_UDP, loopback, lo, port, &uid), PORT_BOUND);
	assert_int_equal(uid, geteuid());
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, wrap_teardown)
	    T(test_who_is_bound),
	    T(test_many_sockets),
	    T(test_connected),
	    T(test_bound_to_an_interface),
	    T(test_caller),
	    T(test_a_caller_is_no_listener),
	    T(test_when_it_cannot_be_known),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
