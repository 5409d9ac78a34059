/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "door.h"
#include "links.h"

static struct in_addr
addr(const char *text)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return (a);
}

static void
test_door_of(void **state)
{
	(void)state;
	assert_int_equal(door_of(addr("127.0.0.1"), 1), DOOR_LOOPBACK);
	/* the address alone proves nothing, nor does the interface */
	assert_int_equal(door_of(addr("127.0.0.1"), 2), DOOR_NETWORK);
	assert_int_equal(door_of(addr("127.0.0.1"), 0), DOOR_NETWORK);
	assert_int_equal(door_of(addr("127.0.0.2"), 1), DOOR_NETWORK);
	assert_int_equal(door_of(addr("192.0.2.1"), 1), DOOR_NETWORK);
	assert_int_equal(door_of(addr("0.0.0.0"), 1), DOOR_NETWORK);
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
	assert_non_null(door_pktinfo(&msg));
	buf.align.cmsg_len -= 1;
	assert_null(door_pktinfo(&msg));
	buf.align.cmsg_len += 1;
	buf.align.cmsg_type = IP_TTL;
	assert_null(door_pktinfo(&msg));
	msg.msg_controllen = 0;
	assert_null(door_pktinfo(&msg));
}

static void
test_meet_at_the_local_door(void **state)
{
	struct peer peer = {.door = DOOR_NETWORK};
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_true(door_meet(fds[0], DOOR_UNIX, &peer));
	assert_int_equal(peer.door, DOOR_LOCAL);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.pid, getpid());
	/* where the kernel does not tell, it is the network door */
	assert_false(door_meet(fds[0], DOOR_STREAM, &peer));
	assert_int_equal(peer.door, DOOR_NETWORK);
	assert_int_equal(peer.uid, OWNER_NONE);
	close(fds[0]);
	close(fds[1]);
}

static void
test_links(void **state)
{
	(void)state;
	assert_int_equal(links_open(), 0);
	assert_true(links_own(addr("127.0.0.1")));
	assert_false(links_own(addr("127.0.0.2")));
	assert_false(links_own(addr("192.0.2.1")));
	assert_true(links_attached(addr("127.9.9.9"), 1));
	assert_false(links_attached(addr("127.9.9.9"), 2));
	assert_false(links_attached(addr("192.0.2.1"), 1));
	links_close();
	assert_false(links_own(addr("127.0.0.1")));
	wrap_fail("getifaddrs", 1, ENOMEM);
	assert_int_equal(links_open(), -1);
	wrap_reset();
	wrap_fail("calloc", 1, ENOMEM);
	assert_int_equal(links_open(), -1);
	wrap_reset();
	wrap_fail("socket", 1, EMFILE);
	assert_int_equal(links_open(), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_door_of),
	    cmocka_unit_test(test_pktinfo),
	    cmocka_unit_test(test_meet_at_the_local_door),
	    cmocka_unit_test_teardown(test_links, wrap_teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
