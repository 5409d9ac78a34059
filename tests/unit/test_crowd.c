/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <arpa/inet.h>

#include "crowd.h"

static struct member members[512];

static struct peer
by_addr(enum door door, uint32_t addr)
{
	struct peer peer = {.door = door, .uid = OWNER_NONE};

	peer.from.sin_addr.s_addr = htonl(addr);
	return (peer);
}

static struct peer
by_uid(uid_t uid)
{
	return ((struct peer){.door = DOOR_LOCAL, .uid = uid});
}

static int
setup(void **state)
{
	(void)state;
	crowd_limits(1024);
	return (0);
}

static int
teardown(void **state)
{
	struct member *m;

	(void)state;
	while ((m = crowd_any()) != NULL)
		crowd_leave(m);
	return (0);
}

static void
test_limits(void **state)
{
	static const struct {
		int descriptors;
		size_t limit[DOORS];
	} cases[] = {
	    {1024, {192, 64, 192}},
	    {512, {92, 30, 92}},
	    {64, {6, 2, 6}},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		crowd_limits(cases[i].descriptors);
		for (enum door door = 0; door < DOORS; door++) {
			struct peer peer = {.door = door, .uid = 5};
			size_t n = 0;

			while (!crowd_is_full(door))
				crowd_join(&members[n++], &peer, 0);
			assert_int_equal(n, cases[i].limit[door]);
			assert_int_equal(crowd_count(), n);
			while (n > 0)
				crowd_leave(&members[--n]);
		}
	}
}

static void
test_the_greediest_loses_its_idlest(void **state)
{
	size_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) /* ten strangers, long ago */
		crowd_join(&members[n++],
		    &(struct peer){.door = DOOR_NETWORK,
			.from.sin_addr.s_addr = htonl(100 + i)},
		    (int64_t)i);
	for (uint32_t i = 0; i < 5; i++) /* and one who holds five */
		crowd_join(&members[n++],
		    &(struct peer){
			.door = DOOR_NETWORK, .from.sin_addr.s_addr = htonl(7)},
		    1000 + i);
	assert_ptr_equal(crowd_victim(DOOR_NETWORK), &members[10]);
	crowd_touch(&members[10], 2000);
	assert_ptr_equal(crowd_victim(DOOR_NETWORK), &members[11]);
	/* owing does not hide anybody */
	crowd_owe(&members[11], true, 2001);
	crowd_owe(&members[12], true, 2002);
	assert_ptr_equal(crowd_victim(DOOR_NETWORK), &members[13]);
	crowd_leave(&members[13]);
	crowd_leave(&members[14]);
	assert_ptr_equal(crowd_victim(DOOR_NETWORK), &members[10]);
	/* all alike: the idlest */
	for (size_t i = 10; i < 12; i++)
		crowd_leave(&members[i]);
	assert_ptr_equal(crowd_victim(DOOR_NETWORK), &members[0]);
	/* other doors are not concerned */
	assert_null(crowd_victim(DOOR_LOOPBACK));
	assert_null(crowd_victim(DOOR_LOCAL));
}

static void
test_root_at_the_local_door_is_safe(void **state)
{
	struct peer root = by_uid(0), user = by_uid(1000);

	(void)state;
	for (size_t i = 0; i < 5; i++)
		crowd_join(&members[i], &root, 0);
	assert_null(crowd_victim(DOOR_LOCAL));
	crowd_join(&members[5], &user, 10);
	assert_ptr_equal(crowd_victim(DOOR_LOCAL), &members[5]);
	crowd_owe(&members[0], true, 1);
	assert_null(crowd_debtor());
	crowd_owe(&members[5], true, 2);
	assert_ptr_equal(crowd_debtor(), &members[5]);
}

static void
test_overdue(void **state)
{
	struct peer network = by_addr(DOOR_NETWORK, 1);
	struct peer loopback = by_addr(DOOR_LOOPBACK, 1);
	struct peer user = by_uid(1000);
	int64_t next;

	(void)state;
	assert_null(crowd_overdue(INT64_MAX, &next));
	assert_int_equal(next, INT64_MAX);
	crowd_join(&members[0], &user, 0);
	assert_null(crowd_overdue(INT64_MAX - CROWD_IDLE_MS, &next));
	assert_int_equal(next, INT64_MAX);
	crowd_join(&members[1], &network, 100);
	crowd_join(&members[2], &loopback, 50);
	assert_null(crowd_overdue(50, &next));
	assert_int_equal(next, 50 + CROWD_IDLE_MS);
	crowd_touch(&members[2], 200);
	assert_null(crowd_overdue(50 + CROWD_IDLE_MS, &next));
	assert_int_equal(next, 100 + CROWD_IDLE_MS);
	assert_ptr_equal(
	    crowd_overdue(100 + CROWD_IDLE_MS, &next), &members[1]);
	crowd_leave(&members[1]);
	/* at the local door: one that does not read what it asked for */
	crowd_owe(&members[0], true, 60);
	assert_ptr_equal(crowd_overdue(60 + CROWD_IDLE_MS, &next), &members[0]);
	crowd_owe(&members[0], false, 70);
	assert_null(crowd_overdue(100 + CROWD_IDLE_MS, &next));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_limits),
	    T(test_the_greediest_loses_its_idlest),
	    T(test_root_at_the_local_door_is_safe),
	    T(test_overdue),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
