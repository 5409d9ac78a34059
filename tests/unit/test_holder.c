/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses are looked up, and how many: sock_diag is replaced. */
#include "wrap.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "holder.h"
#include "ifaddr.h"
#include "loop.h"
#include "peer.h"
#include "sockdiag.h"

enum {
	USER = 1000,
	OTHER = 1001,
	/* to look at: 127.0.0.1, 127.0.1.1, and 192.0.2.2 to 192.0.2.7 */
	ADDRS = 8,
	IFINDEX = 7
};

static unsigned lookups;
static uint32_t looked_up;      /* the port */
static uid_t owners[ADDRS];     /* of the socket at each address */
static enum port_state without; /* the state where there is none */

int64_t
loop_clock(void)
{
	return (0);
}

static struct in_addr
address(size_t i)
{
	static const uint32_t loopback[] = {INADDR_LOOPBACK, 0x7f000101};

	return ((struct in_addr){
	    htonl(i < 2 ? loopback[i] : 0xc0000200 + (uint32_t)i)});
}

bool
ifaddr_get(size_t i, struct in_addr *addr, int *ifindex)
{
	/* no interface has 127.0.1.1 */
	*addr = address(i == 0 ? 0 : i + 1);
	*ifindex = i == 0 ? PEER_LO : IFINDEX;
	return (i + 1 < ADDRS);
}

enum port_state
sockdiag_exact(
    uint32_t prot, struct in_addr addr, int ifindex, uint32_t port, uid_t *uid)
{
	size_t i = 0;

	assert_int_equal(prot, IPPROTO_UDP);
	assert_int_equal(port, looked_up);
	while (address(i).s_addr != addr.s_addr)
		i++;
	assert_int_equal(ifindex, i < 2 ? PEER_LO : IFINDEX);
	lookups++;
	*uid = owners[i];
	return (owners[i] == UID_UNKNOWN ? without : PORT_BOUND);
}

static struct port_use
find(uid_t user)
{
	return (holder_find(IPPROTO_UDP, looked_up, user));
}

static int
setup(void **state)
{
	(void)state;
	holder_begin(HOLDER_LOOKUPS);
	lookups = 0;
	looked_up = 5000;
	without = PORT_FREE;
	for (size_t i = 0; i < ADDRS; i++)
		owners[i] = UID_UNKNOWN;
	return (0);
}

static void
test_each_address_is_looked_up_once(void **state)
{
	struct port_use use = find(USER);

	(void)state;
	assert_true(use.known);
	assert_false(use.bound);
	assert_int_equal(lookups, ADDRS);
}

static void
test_the_search_ends_with_the_user(void **state)
{
	struct port_use use;

	(void)state;
	owners[0] = OTHER;
	owners[3] = USER;
	owners[4] = UID_ROOT;
	use = find(USER);
	assert_true(use.known && use.bound && use.by_user && !use.by_root);
	assert_int_equal(lookups, 4);
	use = find(UID_ROOT);
	assert_true(use.known && use.bound && use.by_user && use.by_root);
	use = find(OTHER + 1);
	assert_true(use.known && use.bound && !use.by_user && use.by_root);
}

static void
test_anybody_will_do(void **state)
{
	struct port_use use;

	(void)state;
	owners[2] = OTHER;
	use = find(UID_UNKNOWN);
	assert_true(use.known && use.bound && !use.by_user && !use.by_root);
	assert_int_equal(lookups, 3);
}

static void
test_a_failure_is_no_free_port(void **state)
{
	(void)state;
	without = PORT_UNKNOWN;
	owners[0] = OTHER;
	assert_false(find(USER).known);
	assert_int_equal(lookups, 2);
	assert_true(find(OTHER).known);
}

static void
test_the_lookups_of_a_change_have_a_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 32 / ADDRS; i++)
		assert_true(find(USER).known);
	assert_false(find(USER).known);
	assert_false(find(USER).known);
	assert_int_equal(lookups, 32);
	holder_begin(HOLDER_LOOKUPS);
	assert_true(find(USER).known);
}

static int
bind_to(struct sockaddr_in *sin, int reuse)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(*sin);

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sin, &len), 0);
	return (fd);
}

static void
test_ports_that_can_be_shared(void **state)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	const struct in_addr any = {0}, loopback = address(0);
	int fd;

	(void)state;
	need_loopback();
	for (int reuse = 0; reuse < 2; reuse++) {
		holder_begin(HOLDER_LOOKUPS);
		sin.sin_addr = any;
		fd = bind_to(&sin, reuse);
		assert_int_equal(
		    holder_is_exclusive(loopback, sin.sin_port), !reuse);
		/* the same, seen by a user who has no socket there */
		owners[0] = OTHER;
		looked_up = ntohs(sin.sin_port);
		assert_int_equal(find(USER).shared, reuse);
		assert_false(find(OTHER).shared);
		assert_false(find(UID_UNKNOWN).shared);
		wrap_fail_once("socket", EMFILE);
		assert_true(find(USER).shared);
		close(fd);
		assert_false(holder_is_exclusive(loopback, sin.sin_port));
		sin.sin_port = 0;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, setup)
	    T(test_each_address_is_looked_up_once),
	    T(test_the_search_ends_with_the_user),
	    T(test_anybody_will_do),
	    T(test_a_failure_is_no_free_port),
	    T(test_the_lookups_of_a_change_have_a_limit),
	    T(test_ports_that_can_be_shared),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
