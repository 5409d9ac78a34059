/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "ifaddr.h"
#include "peer.h"

static struct in_addr
addr(const char *text)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return (a);
}

static void
test_origin(void **state)
{
	(void)state;
	assert_int_equal(peer_origin(addr("127.0.0.1"), 1), ORIGIN_LOOPBACK);
	/* the address alone proves nothing, nor does the interface */
	assert_int_equal(peer_origin(addr("127.0.0.1"), 2), ORIGIN_NETWORK);
	assert_int_equal(peer_origin(addr("127.0.0.1"), 0), ORIGIN_NETWORK);
	assert_int_equal(peer_origin(addr("127.0.1.1"), 1), ORIGIN_LOOPBACK);
	assert_int_equal(peer_origin(addr("127.0.1.1"), 2), ORIGIN_NETWORK);
	assert_int_equal(peer_origin(addr("192.0.2.1"), 1), ORIGIN_NETWORK);
	assert_int_equal(peer_origin(addr("0.0.0.0"), 1), ORIGIN_NETWORK);
}

static void
test_pktinfo(void **state)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} buf = {.align = {.cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO}};
	struct msghdr msg = {
	    .msg_control = &buf, .msg_controllen = sizeof(buf)};

	(void)state;
	buf.align.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	assert_non_null(peer_pktinfo(&msg));
	buf.align.cmsg_len -= 1;
	assert_null(peer_pktinfo(&msg));
	buf.align.cmsg_len += 1;
	buf.align.cmsg_type = IP_TTL;
	assert_null(peer_pktinfo(&msg));
	msg.msg_controllen = 0;
	assert_null(peer_pktinfo(&msg));
}

static void
test_identify(void **state)
{
	struct peer peer = {.origin = ORIGIN_NETWORK};
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer_identify_local(fds[0], &peer);
	assert_int_equal(peer.origin, ORIGIN_LOCAL);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.pid, getpid());
	/* without IP_PKTINFO the origin is the network */
	assert_false(peer_identify_tcp(fds[0], &peer));
	assert_int_equal(peer.origin, ORIGIN_NETWORK);
	assert_int_equal(peer.uid, UID_UNKNOWN);
	close(fds[0]);
	close(fds[1]);
}

static void
test_ifaddr(void **state)
{
	(void)state;
	need_loopback();
	assert_false(ifaddr_is_own(addr("127.0.0.1")));
	wrap_fail("socket", 1, EMFILE);
	assert_int_equal(ifaddr_open(), -1);
	wrap_reset();
	wrap_fail("getifaddrs", 1, ENOMEM);
	assert_int_equal(ifaddr_open(), -1);
	wrap_reset();
	wrap_fail("calloc", 1, ENOMEM);
	assert_int_equal(ifaddr_open(), -1);
	wrap_reset();
	assert_false(ifaddr_is_own(addr("127.0.0.1")));
	assert_int_equal(ifaddr_open(), 0);
	assert_true(ifaddr_is_own(addr("127.0.0.1")));
	assert_false(ifaddr_is_own(addr("127.0.0.2")));
	assert_false(ifaddr_is_own(addr("192.0.2.1")));
	assert_true(ifaddr_on_link(addr("127.9.9.9"), 1));
	assert_false(ifaddr_on_link(addr("127.9.9.9"), 2));
	assert_false(ifaddr_on_link(addr("192.0.2.1"), 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_origin),
	    cmocka_unit_test(test_pktinfo),
	    cmocka_unit_test(test_identify),
	    cmocka_unit_test_teardown(test_ifaddr, wrap_teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
