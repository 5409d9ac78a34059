/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <arpa/inet.h>

#include "policy.h"

static const struct mapping want = {300000, 1, IPPROTO_UDP, 5000, 0};

static enum verdict
set(uid_t who, struct facts f)
{
	return (policy_set(who, &want, &f));
}

static void
test_who(void **state)
{
	static const struct {
		enum origin origin;
		uid_t uid;
		uint16_t port;
		unsigned privileged;
		uid_t who;
	} cases[] = {
	    {ORIGIN_LOCAL, 0, 0, 1024, UID_ROOT},
	    {ORIGIN_LOCAL, 1000, 600, 1024, 1000},
	    {ORIGIN_LOOPBACK, UID_UNKNOWN, 1023, 1024, UID_ROOT},
	    {ORIGIN_LOOPBACK, UID_UNKNOWN, 1024, 1024, UID_UNKNOWN},
	    {ORIGIN_LOOPBACK, UID_UNKNOWN, 1023, 0, UID_UNKNOWN},
	    {ORIGIN_LOOPBACK, UID_UNKNOWN, 0, 0, UID_UNKNOWN},
	    {ORIGIN_LOOPBACK, UID_UNKNOWN, 79, 80, UID_ROOT},
	    {ORIGIN_LOOPBACK, UID_UNKNOWN, 80, 80, UID_UNKNOWN},
	    {ORIGIN_LOOPBACK, UID_UNKNOWN, 1024, 4096, UID_UNKNOWN},
	    {ORIGIN_NETWORK, UID_UNKNOWN, 600, 1024, UID_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct peer peer = {
		    .origin = cases[i].origin, .uid = cases[i].uid};

		peer.from.sin_port = htons(cases[i].port);
		assert_int_equal(
		    policy_identity(&peer, cases[i].privileged), cases[i].who);
	}
}

static void
test_origins(void **state)
{
	(void)state;
	assert_int_equal(policy_origin(ORIGIN_NETWORK), VERDICT_DENY_ORIGIN);
	assert_int_equal(policy_origin(ORIGIN_LOOPBACK), VERDICT_OK);
	assert_int_equal(policy_origin(ORIGIN_LOCAL), VERDICT_OK);
}

static void
test_reserved_ports(void **state)
{
	struct mapping m = want;

	(void)state;
	for (uint32_t port = 1; port <= PORT_MAX; port++) {
		bool reserved = port < 1024 || port == 2049;

		m.port = port;
		assert_int_equal(policy_must_hold(1000, port), reserved);
		assert_false(policy_must_hold(UID_ROOT, port));
		assert_true(policy_must_hold(UID_UNKNOWN, port));
		for (enum fact fact = FACT_NO; fact <= FACT_UNKNOWN; fact++) {
			const struct facts f = {.holds = fact};
			enum verdict denied = fact == FACT_NO
						  ? VERDICT_DENY_RESERVED
						  : VERDICT_DENY_BUSY;

			assert_int_equal(policy_set(1000, &m, &f),
			    !reserved || fact == FACT_YES ? VERDICT_OK
							  : denied);
			assert_int_equal(policy_set(0, &m, &f), VERDICT_OK);
		}
	}
}

/* Anonymous callers must hold the port, and never get a reserved one. */
static void
test_anonymous(void **state)
{
	struct mapping m = want;

	(void)state;
	assert_int_equal(
	    set(UID_UNKNOWN, (struct facts){.holds = FACT_YES}), VERDICT_OK);
	assert_int_equal(set(UID_UNKNOWN, (struct facts){.holds = FACT_NO}),
	    VERDICT_DENY_HOLDER);
	assert_int_equal(
	    set(UID_UNKNOWN, (struct facts){.holds = FACT_UNKNOWN}),
	    VERDICT_DENY_BUSY);
	m.port = 600;
	assert_int_equal(
	    policy_set(UID_UNKNOWN, &m, &(struct facts){.holds = FACT_YES}),
	    VERDICT_DENY_RESERVED);
}

static void
test_protected_programs(void **state)
{
	static const uint32_t progs[] = {100003, 100005, 100024, 600100069};
	struct mapping m = want;
	const struct facts f = {.holds = FACT_YES};

	(void)state;
	for (size_t i = 0; i < LENGTH(progs); i++) {
		m.prog = progs[i];
		assert_int_equal(policy_set(0, &m, &f), VERDICT_OK);
		assert_int_equal(policy_set(1, &m, &f), VERDICT_OK);
		assert_int_equal(policy_set(999, &m, &f), VERDICT_OK);
		assert_int_equal(
		    policy_set(1000, &m, &f), VERDICT_DENY_PROTECTED);
		assert_int_equal(
		    policy_set(UID_UNKNOWN, &m, &f), VERDICT_DENY_PROTECTED);
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
		    policy_set(0, &m, &(struct facts){0}), VERDICT_DENY_RANGE);
	}
	m = want;
	for (size_t i = 0; i < LENGTH(ports); i++) {
		m.port = ports[i];
		assert_int_equal(
		    policy_set(0, &m, &(struct facts){0}), VERDICT_DENY_RANGE);
	}
}

static void
test_the_port_mapper_itself(void **state)
{
	struct mapping m = want;

	(void)state;
	m.prog = PMAP_PROG;
	assert_int_equal(
	    policy_set(0, &m, &(struct facts){0}), VERDICT_DENY_SELF);
	assert_int_equal(policy_unset(0, &m, FACT_NO), VERDICT_DENY_SELF);
}

/* Another port for an entry, by its owner and by others. */
static void
test_moving(void **state)
{
	static const uid_t users[] = {UID_ROOT, 100, 1000, UID_UNKNOWN};
	struct mapping same = want;

	(void)state;
	same.port = want.port + 1;
	for (size_t i = 0; i < LENGTH(users); i++) {
		struct facts f = {.same = &same, .holds = FACT_YES};

		same.owner = users[i];
		assert_int_equal(set(users[i], f), VERDICT_OK);
		f.holds_old = FACT_YES;
		assert_int_equal(set(users[i], f), VERDICT_DENY_BOUND);
		f.holds_old = FACT_UNKNOWN;
		assert_int_equal(set(users[i], f), VERDICT_DENY_BUSY);
		/* root takes over, and others replace what is stale */
		same.owner = 2000;
		assert_int_equal(set(users[i], f), VERDICT_OK);
		f.foreign = FACT_YES;
		assert_int_equal(set(users[i], f),
		    users[i] == UID_ROOT ? VERDICT_OK : VERDICT_DENY_PROGRAM);
		f.foreign = FACT_UNKNOWN;
		assert_int_equal(set(users[i], f),
		    users[i] == UID_ROOT ? VERDICT_OK : VERDICT_DENY_BUSY);
	}
}

static void
test_identical(void **state)
{
	struct mapping same = want;
	struct facts f = {.same = &same,
	    .holds = FACT_YES,
	    .same_in_use = FACT_YES,
	    .owner_holds = FACT_YES};

	(void)state;
	for (uid_t uid = 0; uid < 2000; uid += 1000) {
		same.owner = uid;
		assert_int_equal(set(uid, f), VERDICT_UNCHANGED);
	}
	same.owner = 1001;
	assert_int_equal(set(UID_ROOT, f), VERDICT_OK);
	/* the owner holds the port, too */
	assert_int_equal(set(1000, f), VERDICT_DENY_OWNER);
	f.owner_holds = FACT_NO;
	assert_int_equal(set(1000, f), VERDICT_OK);
	f.owner_holds = FACT_UNKNOWN;
	assert_int_equal(set(1000, f), VERDICT_DENY_BUSY);
	f.owner_holds = FACT_NO;
	f.holds = FACT_NO;
	assert_int_equal(set(1000, f), VERDICT_DENY_OWNER);
	f.same_in_use = FACT_NO; /* stale */
	assert_int_equal(set(1000, f), VERDICT_OK);
	f.same_in_use = FACT_UNKNOWN;
	assert_int_equal(set(1000, f), VERDICT_DENY_BUSY);
}

static void
test_quotas(void **state)
{
	static const uid_t users[] = {100, 1000, UID_UNKNOWN};
	struct mapping theirs = want;
	struct facts f = {.all = QUOTA_ALL};

	(void)state;
	theirs.port = 1;
	assert_int_equal(set(0, f), VERDICT_DENY_QUOTA);
	f = (struct facts){.all = QUOTA_ALL - 1,
	    .of_class = QUOTA_CLASS,
	    .own = QUOTA_UID,
	    .holds = FACT_YES};
	assert_int_equal(set(0, f), VERDICT_OK);
	for (size_t i = 0; i < LENGTH(users); i++) {
		f.of_class = QUOTA_CLASS;
		f.own = 0;
		assert_int_equal(set(users[i], f), VERDICT_DENY_QUOTA);
		f.of_class = QUOTA_CLASS - 1;
		f.own = QUOTA_UID;
		assert_int_equal(set(users[i], f), VERDICT_DENY_QUOTA);
		f.own = QUOTA_UID - 1;
		assert_int_equal(set(users[i], f), VERDICT_OK);
	}
	/* an entry of one's own can be replaced at the quota */
	f = (struct facts){.all = QUOTA_ALL,
	    .of_class = QUOTA_CLASS,
	    .own = QUOTA_UID,
	    .same = &theirs};
	theirs.owner = 1000;
	assert_int_equal(set(1000, f), VERDICT_OK);
	theirs.owner = 1001;
	assert_int_equal(set(1000, f), VERDICT_DENY_QUOTA);
}

static void
test_unset(void **state)
{
	static const uid_t N = UID_UNKNOWN;
	struct mapping m = want;

	(void)state;
	m.owner = 1000;
	assert_int_equal(policy_unset(0, &m, FACT_YES), VERDICT_OK);
	assert_int_equal(policy_unset(1000, &m, FACT_YES), VERDICT_OK);
	assert_int_equal(policy_unset(1001, &m, FACT_NO), VERDICT_DENY_OWNER);
	assert_int_equal(policy_unset(N, &m, FACT_NO), VERDICT_DENY_OWNER);
	m.owner = N;
	assert_int_equal(policy_unset(N, &m, FACT_NO), VERDICT_OK);
	assert_int_equal(policy_unset(N, &m, FACT_YES), VERDICT_DENY_OWNER);
	assert_int_equal(policy_unset(N, &m, FACT_UNKNOWN), VERDICT_DENY_BUSY);
	assert_int_equal(policy_unset(1000, &m, FACT_NO), VERDICT_DENY_OWNER);
	m.owner = UID_ROOT;
	assert_int_equal(policy_unset(1000, &m, FACT_NO), VERDICT_DENY_OWNER);
}

static void
test_callit_callers(void **state)
{
	static const struct {
		struct arrival caller;
		bool served[3]; /* by -c none, host, link */
	} cases[] = {
	    {{ORIGIN_LOOPBACK, true, true, false}, {false, true, true}},
	    {{ORIGIN_NETWORK, true, true, false}, {false, true, true}},
	    {{ORIGIN_NETWORK, true, false, false}, {false, true, true}},
	    {{ORIGIN_NETWORK, false, true, false}, {false, false, true}},
	    {{ORIGIN_NETWORK, false, false, false}, {false, false, false}},
	    {{ORIGIN_NETWORK, false, true, true}, {false, false, false}},
	    {{ORIGIN_NETWORK, true, true, true}, {false, false, false}},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		for (enum callit_scope w = CALLIT_NONE; w <= CALLIT_LINK; w++)
			assert_int_equal(
			    policy_callit_caller(w, cases[i].caller),
			    cases[i].served[w]);
}

static void
test_callit_targets(void **state)
{
	static const uint32_t trusting[] = {100003, 100005, 100007, 100009,
	    100011, 100017, 100021, 100024, 100028, 100069, 100227, 100232,
	    100300, 390113, 600100069};
	const struct arrival own = {.own = true}, other = {.on_link = true};

	(void)state;
	for (uint32_t proc = 0; proc < 10; proc++) {
		for (int i = 0; i < 2; i++) {
			const struct arrival c = i == 0 ? own : other;

			assert_false(policy_callit_target(
			    c, PMAP_PROG, proc, 5000, 111));
			assert_false(policy_callit_target(
			    c, 0x20000001, proc, 111, 111));
			assert_false(policy_callit_target(
			    c, 0x20000001, proc, 111, 999));
			assert_false(policy_callit_target(
			    c, 0x20000001, proc, 999, 999));
			assert_true(policy_callit_target(
			    c, 0x20000001, proc, 999, 111));
			assert_int_equal(
			    policy_callit_target(c, 100004, proc, 5000, 111),
			    proc <= 2);
			assert_int_equal(
			    policy_callit_target(c, 100026, proc, 5000, 111),
			    i == 0 || proc <= 2);
			assert_true(
			    policy_callit_target(c, 100001, proc, 5000, 111));
			/* not for other hosts, except procedure 0 */
			assert_int_equal(
			    policy_callit_target(c, 300000, proc, 5000, 111),
			    i == 0 || proc == 0);
			for (size_t n = 0; n < LENGTH(trusting); n++)
				assert_int_equal(
				    policy_callit_target(
					c, trusting[n], proc, 5000, 111),
				    proc == 0);
		}
	}
	assert_true(policy_callit_target(other, 0x5fffffff, 9, 5000, 111));
	assert_false(policy_callit_target(other, 0x60000000, 9, 5000, 111));
	assert_false(policy_callit_target(other, 0x1fffffff, 9, 5000, 111));
}

/* A broadcast GETPORT gets a reply on the link only. */
static void
test_broadcasts(void **state)
{
	(void)state;
	assert_true(policy_broadcast((struct arrival){.own = true}));
	assert_true(policy_broadcast((struct arrival){.on_link = true}));
	assert_false(policy_broadcast((struct arrival){0}));
	assert_false(policy_broadcast(
	    (struct arrival){.on_link = true, .martian = true}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_who),
	    cmocka_unit_test(test_origins),
	    cmocka_unit_test(test_reserved_ports),
	    cmocka_unit_test(test_range),
	    cmocka_unit_test(test_the_port_mapper_itself),
	    cmocka_unit_test(test_anonymous),
	    cmocka_unit_test(test_protected_programs),
	    cmocka_unit_test(test_moving),
	    cmocka_unit_test(test_identical),
	    cmocka_unit_test(test_quotas),
	    cmocka_unit_test(test_unset),
	    cmocka_unit_test(test_callit_callers),
	    cmocka_unit_test(test_callit_targets),
	    cmocka_unit_test(test_broadcasts),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
