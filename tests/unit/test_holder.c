/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses are looked up, and how many: sock_diag is replaced. */
#include "wrap.h"

#include <netinet/in.h>

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
	assert_int_equal(port, 5000);
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
	return (holder_find(IPPROTO_UDP, 5000, user));
}

static int
setup(void **state)
{
	(void)state;
	holder_begin(HOLDER_LOOKUPS);
	lookups = 0;
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
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
