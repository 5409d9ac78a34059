/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <arpa/inet.h>

#include "policy.h"

static const struct mapping want = {300000, 1, IPPROTO_UDP, 5000, 0};

static enum why
set(uid_t who, struct facts f)
{
	return (policy_set(who, &want, &f));
}

static void
test_who(void **state)
{
	static const struct {
		enum door door;
		uid_t uid;
		uint16_t port;
		unsigned privileged;
		uid_t who;
	} cases[] = {
	    {DOOR_LOCAL, 0, 0, 1024, OWNER_ROOT},
	    {DOOR_LOCAL, 1000, 600, 1024, 1000},
	    {DOOR_LOOPBACK, OWNER_NONE, 1023, 1024, OWNER_ROOT},
	    {DOOR_LOOPBACK, OWNER_NONE, 1024, 1024, OWNER_NONE},
	    {DOOR_LOOPBACK, OWNER_NONE, 1023, 0, OWNER_NONE},
	    {DOOR_LOOPBACK, OWNER_NONE, 0, 0, OWNER_NONE},
	    {DOOR_LOOPBACK, OWNER_NONE, 79, 80, OWNER_ROOT},
	    {DOOR_LOOPBACK, OWNER_NONE, 80, 80, OWNER_NONE},
	    {DOOR_LOOPBACK, OWNER_NONE, 1024, 4096, OWNER_NONE},
	    {DOOR_NETWORK, OWNER_NONE, 600, 1024, OWNER_NONE},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct peer peer = {.door = cases[i].door, .uid = cases[i].uid};

		peer.from.sin_port = htons(cases[i].port);
		assert_int_equal(
		    policy_who(&peer, cases[i].privileged), cases[i].who);
	}
}

static void
test_doors(void **state)
{
	(void)state;
	assert_int_equal(policy_door(DOOR_NETWORK), WHY_DOOR);
	assert_int_equal(policy_door(DOOR_LOOPBACK), WHY_GRANTED);
	assert_int_equal(policy_door(DOOR_LOCAL), WHY_GRANTED);
}

static void
test_reserved_ports(void **state)
{
	struct mapping m = want;

	(void)state;
	for (uint32_t port = 1; port <= PORT_MAX; port++) {
		bool reserved = port < 1024 || port == 2049;

		m.port = port;
		assert_int_equal(policy_reserved(port), reserved);
		assert_int_equal(
		    policy_set(1000, &m, &(struct facts){.holder = false}),
		    reserved ? WHY_RESERVED : WHY_GRANTED);
		assert_int_equal(
		    policy_set(1000, &m, &(struct facts){.holder = true}),
		    WHY_GRANTED);
		assert_int_equal(
		    policy_set(0, &m, &(struct facts){0}), WHY_GRANTED);
	}
}

static void
test_range(void **state)
{
	static const uint32_t prots[] = {0, 1, 5, 7, 16, 18, 262, 0xffffffff};
	static const uint32_t ports[] = {0, 65536, 70000, 0xffffffff};
	struct mapping m = want;

	(void)state;
	for (size_t i = 0; i < LENGTH(prots); i++) {
		m.prot = prots[i];
		assert_int_equal(
		    policy_set(0, &m, &(struct facts){0}), WHY_RANGE);
	}
	m = want;
	for (size_t i = 0; i < LENGTH(ports); i++) {
		m.port = ports[i];
		assert_int_equal(
		    policy_set(0, &m, &(struct facts){0}), WHY_RANGE);
	}
}

static void
test_the_mapper_is_nobodys(void **state)
{
	struct mapping m = want;

	(void)state;
	m.prog = PMAP_PROG;
	assert_int_equal(policy_set(0, &m, &(struct facts){0}), WHY_SELF);
	assert_int_equal(policy_unset(0, &m), WHY_SELF);
}

/* Every caller against every owner, at every state of the old port. */
static void
test_replacing(void **state)
{
	enum {
		R = OWNER_ROOT,
		U = 1000,
		V = 1001
	};
	static const uid_t N = OWNER_NONE;
	const struct {
		uid_t who, owner;
		enum why other[3]; /* unknown, free, bound */
		enum why same[3];
	} cases[] = {
	    {R, R, {WHY_BOUND, WHY_GRANTED, WHY_BOUND},
		{WHY_SAME, WHY_SAME, WHY_SAME}},
	    {R, U, {WHY_GRANTED, WHY_GRANTED, WHY_GRANTED},
		{WHY_GRANTED, WHY_GRANTED, WHY_GRANTED}},
	    {R, N, {WHY_GRANTED, WHY_GRANTED, WHY_GRANTED},
		{WHY_GRANTED, WHY_GRANTED, WHY_GRANTED}},
	    {U, U, {WHY_BOUND, WHY_GRANTED, WHY_BOUND},
		{WHY_SAME, WHY_SAME, WHY_SAME}},
	    {U, V, {WHY_BOUND, WHY_GRANTED, WHY_BOUND},
		{WHY_SAME, WHY_GRANTED, WHY_SAME}},
	    {U, N, {WHY_BOUND, WHY_GRANTED, WHY_BOUND},
		{WHY_SAME, WHY_GRANTED, WHY_SAME}},
	    {N, U, {WHY_BOUND, WHY_GRANTED, WHY_BOUND},
		{WHY_SAME, WHY_GRANTED, WHY_SAME}},
	    {N, N, {WHY_BOUND, WHY_GRANTED, WHY_BOUND},
		{WHY_SAME, WHY_SAME, WHY_SAME}},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct mapping same = want;

		same.owner = cases[i].owner;
		for (enum bound b = BOUND_UNKNOWN; b <= BOUND_YES; b++) {
			struct facts f = {.same = &same, .bound = b};

			same.port = want.port;
			assert_int_equal(
			    set(cases[i].who, f), cases[i].same[b]);
			same.port = want.port + 1;
			assert_int_equal(
			    set(cases[i].who, f), cases[i].other[b]);
		}
	}
}

static void
test_programs_of_root(void **state)
{
	struct facts f = {.program_of_root = true};

	(void)state;
	assert_int_equal(set(OWNER_ROOT, f), WHY_GRANTED);
	assert_int_equal(set(1000, f), WHY_PROGRAM);
	assert_int_equal(set(OWNER_NONE, f), WHY_PROGRAM);
}

static void
test_quotas(void **state)
{
	struct mapping theirs = want;
	struct facts all = {.all = QUOTA_ALL}, f = {.all = QUOTA_ALL - 1};

	(void)state;
	theirs.port = 1;
	assert_int_equal(set(0, all), WHY_QUOTA);
	assert_int_equal(set(0, f), WHY_GRANTED);
	f.others = QUOTA_OTHERS;
	assert_int_equal(set(0, f), WHY_GRANTED);
	assert_int_equal(set(1000, f), WHY_QUOTA);
	assert_int_equal(set(OWNER_NONE, f), WHY_QUOTA);
	f.others--;
	assert_int_equal(set(1000, f), WHY_GRANTED);
	f.own = QUOTA_UID;
	assert_int_equal(set(1000, f), WHY_QUOTA);
	assert_int_equal(set(OWNER_NONE, f), WHY_GRANTED);

	/* in the place of a dead entry there is room, if it was one's own */
	f = (struct facts){.all = QUOTA_ALL,
	    .others = QUOTA_OTHERS,
	    .own = QUOTA_UID,
	    .same = &theirs,
	    .bound = BOUND_NO};
	theirs.owner = 1000;
	assert_int_equal(set(1000, f), WHY_GRANTED);
	theirs.owner = 1001;
	assert_int_equal(set(1000, f), WHY_QUOTA);
	f.own--;
	assert_int_equal(set(1000, f), WHY_GRANTED);
}

static void
test_unset(void **state)
{
	struct mapping m = want;

	(void)state;
	m.owner = 1000;
	assert_int_equal(policy_unset(0, &m), WHY_GRANTED);
	assert_int_equal(policy_unset(1000, &m), WHY_GRANTED);
	assert_int_equal(policy_unset(1001, &m), WHY_OWNER);
	assert_int_equal(policy_unset(OWNER_NONE, &m), WHY_OWNER);
	m.owner = OWNER_NONE;
	assert_int_equal(policy_unset(OWNER_NONE, &m), WHY_GRANTED);
	assert_int_equal(policy_unset(1000, &m), WHY_OWNER);
	m.owner = OWNER_ROOT;
	assert_int_equal(policy_unset(1000, &m), WHY_OWNER);
	assert_int_equal(policy_unset(OWNER_NONE, &m), WHY_OWNER);
}

static void
test_callit_callers(void **state)
{
	static const struct {
		struct callit_caller caller;
		bool served[3]; /* by -c none, host, link */
	} cases[] = {
	    {{DOOR_LOOPBACK, true, true, false}, {false, true, true}},
	    {{DOOR_NETWORK, true, true, false}, {false, true, true}},
	    {{DOOR_NETWORK, true, false, false}, {false, true, true}},
	    {{DOOR_NETWORK, false, true, false}, {false, false, true}},
	    {{DOOR_NETWORK, false, false, false}, {false, false, false}},
	    {{DOOR_NETWORK, false, true, true}, {false, false, false}},
	    {{DOOR_NETWORK, true, true, true}, {false, false, false}},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		for (enum callit_who w = CALLIT_NOBODY; w <= CALLIT_LINK; w++)
			assert_int_equal(
			    policy_callit_caller(w, &cases[i].caller),
			    cases[i].served[w]);
}

static void
test_callit_targets(void **state)
{
	static const uint32_t trusting[] = {100003, 100005, 100007, 100009,
	    100011, 100021, 100024, 100069, 100227};

	(void)state;
	for (uint32_t proc = 0; proc < 10; proc++) {
		assert_false(policy_callit_target(PMAP_PROG, proc, 5000, 111));
		assert_false(policy_callit_target(300000, proc, 111, 111));
		assert_false(policy_callit_target(300000, proc, 111, 999));
		assert_false(policy_callit_target(300000, proc, 999, 999));
		assert_true(policy_callit_target(300000, proc, 999, 111));
		assert_int_equal(
		    policy_callit_target(100004, proc, 5000, 111), proc <= 2);
		for (size_t i = 0; i < LENGTH(trusting); i++)
			assert_int_equal(
			    policy_callit_target(trusting[i], proc, 5000, 111),
			    proc == 0);
	}
	assert_true(policy_callit_target(100001, 3, 5000, 111));
	assert_true(policy_callit_target(100026, 1, 5000, 111));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_who),
	    cmocka_unit_test(test_doors),
	    cmocka_unit_test(test_reserved_ports),
	    cmocka_unit_test(test_range),
	    cmocka_unit_test(test_the_mapper_is_nobodys),
	    cmocka_unit_test(test_replacing),
	    cmocka_unit_test(test_programs_of_root),
	    cmocka_unit_test(test_quotas),
	    cmocka_unit_test(test_unset),
	    cmocka_unit_test(test_callit_callers),
	    cmocka_unit_test(test_callit_targets),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
