/* SPDX-License-Identifier: BSD-2-Clause */
/* Who pays for dumps, which take about a ms here: sock_diag is replaced. */
#include "wrap.h"

#include <netinet/in.h>

#include "holder.h"
#include "ifaddr.h"
#include "loop.h"
#include "sockdiag.h"

enum {
	USER = 1000,
	OTHER = 1001,
	SYSTEM = 33
};

/* An address of this host other than 127.0.0.1, and its interface. */
static const struct in_addr own = {0x0100a8c0};
static const int own_ifindex = 7;

static int64_t clock_us, cpu_us, lookup_us;
static int64_t others_us; /* for which other processes delay a dump */
static unsigned dumps;
static uid_t holder_at_own; /* of a socket that dumps miss */
static bool bound_at_loopback;

/* The clocks, sock_diag and the addresses of this test. */

static void
take(int64_t us)
{
	clock_us += us;
	cpu_us += us;
}

int64_t
loop_clock(void)
{
	return (clock_us);
}

int64_t
loop_cpu_time(void)
{
	return (cpu_us);
}

int64_t
loop_now(void)
{
	return (clock_us / 1000);
}

struct sockdiag_port
sockdiag_dump(uint32_t prot, uint32_t port, uid_t user)
{
	(void)prot;
	(void)port;
	(void)user;
	dumps++;
	take(1040);
	clock_us += others_us;
	return ((struct sockdiag_port){.state = PORT_FREE});
}

enum port_state
sockdiag_exact(
    uint32_t prot, struct in_addr addr, int ifindex, uint32_t port, uid_t *uid)
{
	(void)prot;
	(void)port;
	take(lookup_us);
	*uid = UID_UNKNOWN;
	if (addr.s_addr == htonl(INADDR_LOOPBACK))
		return (bound_at_loopback ? PORT_BOUND : PORT_FREE);
	if (holder_at_own == UID_UNKNOWN || addr.s_addr != own.s_addr ||
	    ifindex != own_ifindex)
		return (PORT_FREE);
	*uid = holder_at_own;
	return (PORT_BOUND);
}

static int
next_second(void **state)
{
	(void)state;
	clock_us = (clock_us / 1000000 + 1) * 1000000;
	lookup_us = 10;
	others_us = 0;
	holder_at_own = UID_UNKNOWN;
	bound_at_loopback = false;
	return (0);
}

bool
ifaddr_get(size_t i, struct in_addr *addr, int *ifindex)
{
	*addr = own;
	*ifindex = own_ifindex;
	return (i == 0);
}

/* Return how many dumps this user gets in what is left of the second. */
static unsigned
dumps_of(uid_t payer)
{
	dumps = 0;
	for (int i = 0; i < 100; i++) {
		holder_begin();
		if (holder_in_use(payer, IPPROTO_UDP, 5000) == FACT_UNKNOWN)
			break;
	}
	return (dumps);
}

static void
test_a_user_gets_half_of_what_others_left(void **state)
{
	(void)state;
	assert_int_equal(dumps_of(USER), 5);
	assert_int_equal(dumps_of(USER), 0);
	assert_int_equal(dumps_of(OTHER), 3); /* the half of 5, begun */
	assert_int_equal(dumps_of(UID_UNKNOWN), 1);
	next_second(state);
	assert_int_equal(dumps_of(OTHER), 5);
}

static void
test_system_accounts_have_a_budget_of_their_own(void **state)
{
	(void)state;
	for (uid_t user = USER; user < USER + 100; user++)
		dumps_of(user);
	assert_int_equal(dumps_of(SYSTEM), 5);
}

static void
test_nobody_pays_for_other_processes(void **state)
{
	(void)state;
	others_us = 50000;
	assert_int_equal(dumps_of(USER), 5);
}

static void
test_root_has_no_limit(void **state)
{
	(void)state;
	dumps_of(USER);
	assert_int_equal(dumps_of(UID_ROOT), 100);
}

static void
test_all_together_have_a_limit(void **state)
{
	unsigned sum = 0;

	(void)state;
	for (uid_t user = USER; user < USER + 1000; user++)
		sum += dumps_of(user);
	assert_in_range(sum, 8, 12);
}

static void
test_a_socket_that_a_dump_misses(void **state)
{
	(void)state;
	assert_int_equal(holder_is(0, IPPROTO_UDP, 5000, USER), FACT_NO);
	holder_at_own = USER;
	assert_int_equal(holder_is(0, IPPROTO_UDP, 5000, USER), FACT_YES);
	assert_int_equal(holder_is(0, IPPROTO_UDP, 5000, OTHER), FACT_NO);
	assert_int_equal(holder_in_use(0, IPPROTO_UDP, 5000), FACT_YES);
	assert_int_equal(
	    holder_is_other(0, IPPROTO_UDP, 5000, OTHER), FACT_YES);
	assert_int_equal(holder_is_other(0, IPPROTO_UDP, 5000, USER), FACT_NO);
}

/* Thousands of sockets share a port, which is found at once. */
static void
test_lookups_that_take_long_are_not_free(void **state)
{
	static const int64_t costs[] = {100, 3000};

	for (size_t i = 0; i < LENGTH(costs); i++) {
		int64_t began;

		next_second(state);
		began = clock_us;
		lookup_us = costs[i];
		bound_at_loopback = true;
		for (int n = 0; n < 1000; n++) {
			holder_begin();
			(void)holder_in_use(USER, IPPROTO_UDP, 5000);
		}
		assert_in_range(clock_us - began, 3000, 15000);
	}
}

/* Return how long the lookups of one change take. */
static int64_t
time_of(int lookups)
{
	int64_t began = clock_us;

	holder_begin();
	for (int n = 0; n < lookups; n++)
		(void)holder_in_use(USER, IPPROTO_UDP, 5000);
	return (clock_us - began);
}

/* A program has hundreds of entries, each of which is looked up. */
static void
test_many_lookups_of_one_change_are_not_free(void **state)
{
	(void)state;
	bound_at_loopback = true;
	for (int n = 0; n < 1000; n++)
		assert_int_equal(time_of(5), 50);
	assert_in_range(time_of(1000), 5000, 5100);
	assert_int_equal(time_of(5), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(
		test_a_user_gets_half_of_what_others_left, next_second),
	    cmocka_unit_test_setup(
		test_system_accounts_have_a_budget_of_their_own, next_second),
	    cmocka_unit_test_setup(
		test_nobody_pays_for_other_processes, next_second),
	    cmocka_unit_test_setup(test_root_has_no_limit, next_second),
	    cmocka_unit_test_setup(
		test_a_socket_that_a_dump_misses, next_second),
	    cmocka_unit_test_setup(
		test_lookups_that_take_long_are_not_free, next_second),
	    cmocka_unit_test_setup(
		test_many_lookups_of_one_change_are_not_free, next_second),
	    cmocka_unit_test_setup(test_all_together_have_a_limit, next_second),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
