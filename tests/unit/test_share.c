/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <arpa/inet.h>

#include "share.h"

static struct share members[1024];

static struct peer
by_addr(enum origin origin, uint32_t addr)
{
	struct peer peer = {.origin = origin, .uid = UID_UNKNOWN};

	peer.from.sin_addr.s_addr = htonl(addr);
	return (peer);
}

static struct peer
by_uid(uid_t uid)
{
	return ((struct peer){.origin = ORIGIN_LOCAL, .uid = uid});
}

static void
add(struct share *member, const struct peer *peer, int64_t now)
{
	share_add(member, POOL_CONNECTIONS, peer, 0, now);
}

/* What goes when there is room for nothing more. */
static struct share *
victim(enum origin origin)
{
	const struct peer peer = {.origin = origin, .uid = 4242};
	struct share *found;

	share_limits(32);
	found = share_victim(POOL_CONNECTIONS, &peer);
	share_limits(1024);
	return (found);
}

static void
remove_member(size_t i)
{
	share_remove(&members[i]);
	members[i].entry.tqe_prev = NULL;
}

static int
setup(void **state)
{
	(void)state;
	share_limits(1024);
	return (0);
}

/* Each test removes what is left of its connections. */
static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(members); i++)
		if (members[i].entry.tqe_prev != NULL)
			remove_member(i);
	return (share_count(POOL_CONNECTIONS) == 0 ? 0 : -1);
}

static void
test_limits(void **state)
{
	static const struct {
		int descriptors;
		size_t limit[ORIGINS];
	} cases[] = {
	    {1024, {192, 64, 192}},
	    {512, {92, 30, 92}},
	    {64, {6, 2, 6}},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		share_limits(cases[i].descriptors);
		for (enum origin origin = 0; origin < ORIGINS; origin++) {
			struct peer peer = {.origin = origin, .uid = 5};
			size_t n = 0;

			assert_null(share_victim(POOL_CONNECTIONS, &peer));
			while (!share_is_full(POOL_CONNECTIONS, origin))
				add(&members[n++], &peer, 0);
			assert_int_equal(n, cases[i].limit[origin]);
			assert_int_equal(share_count(POOL_CONNECTIONS), n);
			while (n > 0)
				remove_member(--n);
		}
	}
}

static void
test_victim_is_the_idlest_of_the_busiest(void **state)
{
	size_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) /* ten sources, long ago */
		add(&members[n++],
		    &(struct peer){.origin = ORIGIN_NETWORK,
			.from.sin_addr.s_addr = htonl(100 + i)},
		    (int64_t)i);
	for (uint32_t i = 0; i < 5; i++) /* and one who holds five */
		add(&members[n++],
		    &(struct peer){.origin = ORIGIN_NETWORK,
			.from.sin_addr.s_addr = htonl(7)},
		    1000 + i);
	assert_ptr_equal(victim(ORIGIN_NETWORK), &members[10]);
	share_touch(&members[10], false, 2000);
	assert_ptr_equal(victim(ORIGIN_NETWORK), &members[11]);
	/* blocked connections count, too */
	share_touch(&members[11], true, 2001);
	share_touch(&members[12], true, 2002);
	assert_ptr_equal(victim(ORIGIN_NETWORK), &members[13]);
	remove_member(13);
	remove_member(14);
	assert_ptr_equal(victim(ORIGIN_NETWORK), &members[10]);
	/* all alike: the idlest */
	for (size_t i = 10; i < 12; i++)
		remove_member(i);
	assert_ptr_equal(victim(ORIGIN_NETWORK), &members[0]);
	/* other origins are not concerned */
	assert_null(victim(ORIGIN_LOOPBACK));
	assert_null(victim(ORIGIN_LOCAL));
}

/* Of what is unsent, too: those that are gone or read again do not count. */
static void
test_the_slowest_is_the_idlest_of_who_has_most_blocked(void **state)
{
	struct peer a = by_uid(1000), b = by_uid(1001);

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		add(&members[i], i < 3 ? &a : &b, 0);
		share_touch(&members[i], i != 5, (int64_t)i);
	}
	assert_ptr_equal(share_slowest(), &members[0]);
	remove_member(0);
	remove_member(1);
	assert_ptr_equal(share_slowest(), &members[3]);
	share_touch(&members[3], true, 10);
	assert_ptr_equal(share_slowest(), &members[4]);
	share_touch(&members[4], false, 11);
	assert_ptr_equal(share_slowest(), &members[2]);
	remove_member(2);
	assert_ptr_equal(share_slowest(), &members[3]);
	share_touch(&members[3], false, 12);
	assert_null(share_slowest());
}

static void
test_roots_local_connections_are_exempt(void **state)
{
	struct peer root = by_uid(0), user = by_uid(1000);

	(void)state;
	for (size_t i = 0; i < 5; i++)
		add(&members[i], &root, 0);
	assert_null(victim(ORIGIN_LOCAL));
	add(&members[5], &user, 10);
	assert_ptr_equal(victim(ORIGIN_LOCAL), &members[5]);
	share_touch(&members[0], true, 1);
	assert_null(share_slowest());
	share_touch(&members[5], true, 2);
	assert_ptr_equal(share_slowest(), &members[5]);
}

static void
test_overdue(void **state)
{
	struct peer network = by_addr(ORIGIN_NETWORK, 1);
	struct peer loopback = by_addr(ORIGIN_LOOPBACK, 1);
	struct peer user = by_uid(1000);
	int64_t next;

	(void)state;
	assert_null(share_expired(POOL_CONNECTIONS, INT64_MAX, &next));
	assert_int_equal(next, INT64_MAX);
	add(&members[0], &user, 0);
	assert_null(
	    share_expired(POOL_CONNECTIONS, INT64_MAX - SHARE_IDLE_MS, &next));
	assert_int_equal(next, INT64_MAX);
	add(&members[2], &loopback, 50);
	add(&members[1], &network, 100);
	assert_null(share_expired(POOL_CONNECTIONS, 50, &next));
	assert_int_equal(next, 50 + SHARE_IDLE_MS);
	share_touch(&members[2], false, 200);
	assert_null(share_expired(POOL_CONNECTIONS, 50 + SHARE_IDLE_MS, &next));
	assert_int_equal(next, 100 + SHARE_IDLE_MS);
	assert_ptr_equal(
	    share_expired(POOL_CONNECTIONS, 100 + SHARE_IDLE_MS, &next),
	    &members[1]);
	remove_member(1);
	remove_member(2);
	/* on the local socket: one that does not read its replies */
	share_touch(&members[0], true, 260);
	assert_ptr_equal(
	    share_expired(POOL_CONNECTIONS, 260 + SHARE_IDLE_MS, &next),
	    &members[0]);
	share_touch(&members[0], false, 270);
	assert_null(share_expired(POOL_CONNECTIONS, INT64_MAX, &next));
}

/* A user with many uids does not displace system accounts, nor the reverse. */
static void
test_victims_are_of_the_class_with_more(void **state)
{
	struct peer system = by_uid(102), other = by_uid(103);

	(void)state;
	add(&members[0], &system, 0);
	for (uid_t i = 1; i < 192; i++) {
		struct peer user = by_uid(100000 + i);

		add(&members[i], &user, i);
	}
	assert_ptr_equal(victim(ORIGIN_LOCAL), &members[1]);
	for (size_t i = 2; i < 192; i++)
		remove_member(i);
	add(&members[2], &other, 300);
	assert_ptr_equal(victim(ORIGIN_LOCAL), &members[0]);
}

/* At all limits, and no two alike: there is still room to look at one more. */
static void
test_all_sources_differ(void **state)
{
	size_t n = 0;

	(void)state;
	for (enum pool pool = 0; pool < POOLS; pool++)
		for (enum origin origin = 0; origin < ORIGINS; origin++)
			while (!share_is_full(pool, origin)) {
				struct peer peer = by_addr(origin, (uint32_t)n);

				peer.uid = (uid_t)n;
				share_add(&members[n++], pool, &peer,
				    pool == POOL_CALLITS ? 5000 : 0, 0);
			}
	assert_int_equal(n, 192 + 64 + 192 + 192 + 64);
	for (enum pool pool = 0; pool < POOLS; pool++)
		for (enum origin origin = 0; origin < ORIGIN_LOCAL; origin++) {
			struct peer peer = by_addr(origin, UINT32_MAX);

			assert_non_null(share_victim(pool, &peer));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_limits),
	    T(test_victim_is_the_idlest_of_the_busiest),
	    T(test_the_slowest_is_the_idlest_of_who_has_most_blocked),
	    T(test_roots_local_connections_are_exempt),
	    T(test_victims_are_of_the_class_with_more),
	    T(test_all_sources_differ),
	    T(test_overdue),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
