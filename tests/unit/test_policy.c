/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <arpa/inet.h>

#include "policy.h"

static const struct mapping want = {300000, 1, IPPROTO_UDP, 5000, 0};

static struct caller
user(uid_t uid)
{
	return ((struct caller){uid, uid});
}

static struct caller
anonymous(uid_t of_user)
{
	return ((struct caller){UID_UNKNOWN, of_user});
}

static enum verdict
set(struct caller caller, struct facts f)
{
	return (policy_set(&caller, &want, &f));
}

/* A SET of `m` to which no fact is an obstacle. */
static enum verdict
set_mapping(struct caller caller, const struct mapping *m)
{
	struct facts f = {.answers = {[ASK_HOLDS] = FACT_YES,
			      [ASK_PROGRAM] = FACT_NO,
			      [ASK_HOLDS_OLD] = FACT_NO}};

	return (policy_set(&caller, m, &f));
}

static const struct facts good = {.answers = {[ASK_HOLDS] = FACT_YES,
				      [ASK_PROGRAM] = FACT_NO,
				      [ASK_HOLDS_OLD] = FACT_NO}};

static void
test_who(void **state)
{
	static const uid_t N = UID_UNKNOWN;
	static const struct {
		enum origin origin;
		uid_t uid;
		uint32_t prot;
		uint16_t port;
		unsigned privileged;
		uid_t socket;
		enum verdict verdict;
		struct caller caller;
	} cases[] = {
	    {ORIGIN_LOCAL, 0, 0, 0, 0, N, VERDICT_OK, {0, 0}},
	    {ORIGIN_LOCAL, 1000, 0, 600, 1024, 7, VERDICT_OK, {1000, 1000}},
	    {ORIGIN_LOOPBACK, N, 17, 1023, 1024, N, VERDICT_OK, {0, 0}},
	    {ORIGIN_LOOPBACK, N, 6, 1023, 1024, 7, VERDICT_OK, {0, 0}},
	    {ORIGIN_LOOPBACK, N, 17, 79, 80, N, VERDICT_OK, {0, 0}},
	    /* a port that the kernel does not guard proves nothing */
	    {ORIGIN_LOOPBACK, N, 17, 80, 80, 7, VERDICT_OK, {N, 7}},
	    {ORIGIN_LOOPBACK, N, 17, 1023, 0, 7, VERDICT_OK, {N, 7}},
	    {ORIGIN_LOOPBACK, N, 17, 1024, 4096, 7, VERDICT_OK, {N, 7}},
	    {ORIGIN_LOOPBACK, N, 17, 5000, 1024, 0, VERDICT_OK, {N, 0}},
	    {ORIGIN_LOOPBACK, N, 17, 5000, 1024, N, VERDICT_OK, {N, N}},
	    {ORIGIN_LOOPBACK, N, 6, 5000, 1024, 7, VERDICT_OK, {7, 7}},
	    {ORIGIN_LOOPBACK, N, 6, 5000, 1024, 0, VERDICT_OK, {N, 0}},
	    {ORIGIN_LOOPBACK, N, 6, 5000, 1024, N, VERDICT_DENY_UNKNOWN,
		{N, N}},
	    {ORIGIN_NETWORK, N, 17, 600, 1024, 7, VERDICT_DENY_ORIGIN, {N, N}},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		bool asks = cases[i].origin == ORIGIN_LOOPBACK &&
			    cases[i].caller.uid != UID_ROOT;
		struct peer peer = {.origin = cases[i].origin,
		    .uid = cases[i].uid,
		    .prot = cases[i].prot};
		struct caller caller;

		peer.from.sin_port = htons(cases[i].port);
		assert_int_equal(policy_identity(&peer, cases[i].privileged,
				     &cases[i].socket, &caller),
		    cases[i].verdict);
		assert_int_equal(caller.uid, cases[i].caller.uid);
		assert_int_equal(caller.user, cases[i].caller.user);
		assert_int_equal(
		    policy_identity(&peer, cases[i].privileged, NULL, &caller),
		    asks ? VERDICT_ASK : cases[i].verdict);
	}
}

static void
test_origins(void **state)
{
	(void)state;
	assert_int_equal(policy_origin(ORIGIN_NETWORK), VERDICT_DENY_ORIGIN);
	assert_int_equal(policy_origin(ORIGIN_LOOPBACK), VERDICT_OK);
	assert_int_equal(policy_origin(ORIGIN_LOCAL), VERDICT_OK);
	assert_int_equal(policy_origin(ORIGIN_IPV6), VERDICT_DENY_ORIGIN);
}

static void
test_reserved_ports(void **state)
{
	static const enum verdict verdicts[] = {[FACT_OPEN] = VERDICT_ASK,
	    [FACT_NO] = VERDICT_DENY_RESERVED,
	    [FACT_YES] = VERDICT_OK,
	    [FACT_UNKNOWN] = VERDICT_DENY_BUSY};
	struct mapping m = want;

	(void)state;
	for (m.port = 1; m.port <= PORT_MAX; m.port++) {
		bool reserved = m.port < 1024 || m.port == 2049;

		assert_int_equal(set_mapping(user(0), &m), VERDICT_OK);
		assert_int_equal(set_mapping(anonymous(0), &m),
		    reserved ? VERDICT_DENY_RESERVED : VERDICT_OK);
		for (enum fact fact = FACT_OPEN; fact <= FACT_UNKNOWN; fact++) {
			struct caller caller = user(1000);
			struct facts f = good;

			f.answers[ASK_HOLDS] = fact;
			assert_int_equal(policy_set(&caller, &m, &f),
			    reserved ? verdicts[fact] : VERDICT_OK);
		}
	}
}

/* Anonymous callers must hold the port. */
static void
test_anonymous(void **state)
{
	struct facts f = good;

	(void)state;
	assert_int_equal(set(anonymous(1000), f), VERDICT_OK);
	f.answers[ASK_HOLDS] = FACT_NO;
	assert_int_equal(set(anonymous(1000), f), VERDICT_DENY_HOLDER);
	assert_int_equal(set(anonymous(UID_ROOT), f), VERDICT_DENY_HOLDER);
	assert_int_equal(set(user(1000), f), VERDICT_OK);
	f.answers[ASK_HOLDS] = FACT_UNKNOWN;
	assert_int_equal(set(anonymous(1000), f), VERDICT_DENY_BUSY);
}

static void
test_protected_programs(void **state)
{
	static const uint32_t progs[] = {100003, 100005, 100024, 600100069};
	static const uid_t uids[] = {0, 1, 999, 1000, UID_UNKNOWN};
	struct mapping m = want;

	(void)state;
	for (size_t i = 0; i < LENGTH(progs); i++) {
		m.prog = progs[i];
		for (size_t n = 0; n < LENGTH(uids); n++) {
			enum verdict verdict = uids[n] <= 999
						   ? VERDICT_OK
						   : VERDICT_DENY_PROTECTED;

			if (uids[n] != UID_UNKNOWN)
				assert_int_equal(
				    set_mapping(user(uids[n]), &m), verdict);
			assert_int_equal(
			    set_mapping(anonymous(uids[n]), &m), verdict);
		}
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
		assert_int_equal(set_mapping(user(0), &m), VERDICT_DENY_RANGE);
	}
	m = want;
	for (size_t i = 0; i < LENGTH(ports); i++) {
		m.port = ports[i];
		assert_int_equal(set_mapping(user(0), &m), VERDICT_DENY_RANGE);
	}
}

static void
test_the_port_mapper_itself(void **state)
{
	const struct caller root = user(0);
	struct mapping m = want;

	(void)state;
	m.prog = PMAP_PROG;
	assert_int_equal(set_mapping(root, &m), VERDICT_DENY_SELF);
	assert_int_equal(policy_unset(&root, &m, NULL), VERDICT_DENY_SELF);
}

/* Another port for an entry, by its owner and by others. */
static void
test_moving(void **state)
{
	const struct caller callers[] = {
	    user(UID_ROOT), user(100), user(1000), anonymous(1000)};
	struct mapping same = want;

	(void)state;
	same.port = want.port + 1;
	for (size_t i = 0; i < LENGTH(callers); i++) {
		bool root = callers[i].uid == UID_ROOT;
		struct facts f = good;

		f.same = &same;
		same.owner = callers[i].uid;
		assert_int_equal(set(callers[i], f), VERDICT_OK);
		f.answers[ASK_HOLDS_OLD] = FACT_YES;
		assert_int_equal(set(callers[i], f), VERDICT_DENY_BOUND);
		f.answers[ASK_HOLDS_OLD] = FACT_UNKNOWN;
		assert_int_equal(set(callers[i], f), VERDICT_OK);
		/* root takes over, and others replace what is not live */
		same.owner = 2000;
		assert_int_equal(set(callers[i], f), VERDICT_OK);
		f.answers[ASK_PROGRAM] = FACT_YES;
		assert_int_equal(set(callers[i], f),
		    root ? VERDICT_OK : VERDICT_DENY_PROGRAM);
		f.answers[ASK_PROGRAM] = FACT_UNKNOWN;
		assert_int_equal(
		    set(callers[i], f), root ? VERDICT_OK : VERDICT_DENY_BUSY);
	}
}

static void
test_identical(void **state)
{
	struct mapping same = want;
	struct facts f = {.same = &same};

	(void)state;
	for (uid_t uid = 0; uid < 2000; uid += 1000) {
		same.owner = uid;
		assert_int_equal(set(user(uid), f), VERDICT_UNCHANGED);
	}
	/* an anonymous caller must still hold the port */
	same.owner = UID_UNKNOWN;
	f.answers[ASK_HOLDS] = FACT_NO;
	assert_int_equal(set(anonymous(1000), f), VERDICT_DENY_HOLDER);
	f.answers[ASK_HOLDS] = FACT_YES;
	f.answers[ASK_PROGRAM] = FACT_YES;
	assert_int_equal(set(anonymous(1000), f), VERDICT_DENY_PROGRAM);
	f.answers[ASK_PROGRAM] = FACT_NO;
	assert_int_equal(set(anonymous(1000), f), VERDICT_UNCHANGED);
}

/* What needs no lookup is decided first, and then one question after another.
 */
static void
test_questions(void **state)
{
	struct caller caller = anonymous(1000);
	struct mapping same = want;
	struct facts f = {.of_class = QUOTA_CLASS};

	(void)state;
	assert_int_equal(set(caller, f), VERDICT_DENY_QUOTA);
	same.port = want.port + 1;
	same.owner = UID_UNKNOWN;
	f = (struct facts){.same = &same};
	for (enum question q = 0; q < QUESTIONS; q++) {
		assert_int_equal(policy_set(&caller, &want, &f), VERDICT_ASK);
		assert_int_equal(f.question, q);
		f.answers[q] = good.answers[q];
	}
	assert_int_equal(policy_set(&caller, &want, &f), VERDICT_OK);
}

static void
test_quotas(void **state)
{
	const struct caller callers[] = {user(100), user(1000), anonymous(0)};
	struct mapping theirs = want;
	struct facts f = good;

	(void)state;
	theirs.port = 1;
	f.all = QUOTA_ALL;
	assert_int_equal(set(user(0), f), VERDICT_DENY_QUOTA);
	f.all = QUOTA_ALL - 1;
	f.of_class = QUOTA_CLASS;
	f.own = QUOTA_UID;
	assert_int_equal(set(user(0), f), VERDICT_OK);
	for (size_t i = 0; i < LENGTH(callers); i++) {
		f.of_class = QUOTA_CLASS;
		f.own = 0;
		assert_int_equal(set(callers[i], f), VERDICT_DENY_QUOTA);
		f.of_class = QUOTA_CLASS - 1;
		f.own = QUOTA_UID;
		assert_int_equal(set(callers[i], f), VERDICT_DENY_QUOTA);
		f.own = QUOTA_UID - 1;
		assert_int_equal(set(callers[i], f), VERDICT_OK);
	}
	/* an entry of one's own can be replaced at the quota */
	f.all = QUOTA_ALL;
	f.of_class = QUOTA_CLASS;
	f.own = QUOTA_UID;
	f.same = &theirs;
	theirs.owner = 1000;
	assert_int_equal(set(user(1000), f), VERDICT_OK);
	theirs.owner = 1001;
	assert_int_equal(set(user(1000), f), VERDICT_DENY_QUOTA);
}

/* What a port is used by. */
static const struct port_use
    unknown = {0},
    stale = {.known = true},
    by_other = {.known = true, .bound = true, .by_others = true},
    by_root = {.known = true,
	.bound = true,
	.by_root = true,
	.by_others = true},
    by_user = {.known = true, .bound = true, .by_user = true},
    by_both = {
	.known = true, .bound = true, .by_user = true, .by_others = true};

static void
test_live_entries_of_others(void **state)
{
	static const uid_t N = UID_UNKNOWN;
	const struct {
		uid_t owner;
		struct caller caller;
		uid_t witness;
		struct port_use use;
		enum fact foreign;
	} cases[] = {
	    {1001, user(1000), 1001, stale, FACT_NO},
	    {1001, user(1000), 1001, by_other, FACT_NO},
	    {1001, user(1000), 1001, by_root, FACT_YES},
	    {1001, user(1000), 1001, by_user, FACT_YES},
	    {1001, user(1000), 1001, by_both, FACT_YES},
	    {1001, anonymous(1001), 1001, by_user, FACT_YES},
	    {0, user(1000), N, stale, FACT_NO},
	    {0, user(1000), N, by_other, FACT_YES},
	    {0, anonymous(0), N, by_root, FACT_YES},
	    {N, user(1000), 1000, stale, FACT_NO},
	    {N, user(1000), 1000, by_user, FACT_YES},
	    {N, anonymous(1000), 1000, stale, FACT_NO},
	    {N, anonymous(1000), 1000, by_user, FACT_NO},
	    {N, anonymous(1000), 1000, by_other, FACT_YES},
	    {N, anonymous(1000), 1000, by_both, FACT_YES},
	    {N, anonymous(1000), 1000, by_root, FACT_YES},
	    {N, anonymous(N), N, by_other, FACT_YES},
	    {N, anonymous(N), N, unknown, FACT_UNKNOWN},
	};
	struct mapping m = want;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		m.owner = cases[i].owner;
		assert_int_equal(
		    policy_witness(&cases[i].caller, &m), cases[i].witness);
		assert_int_equal(
		    policy_foreign(&cases[i].caller, &m, NULL), FACT_OPEN);
		assert_int_equal(
		    policy_foreign(&cases[i].caller, &m, &cases[i].use),
		    cases[i].foreign);
	}
	m.owner = 1000;
	assert_int_equal(
	    policy_foreign(&(struct caller){1000, 1000}, &m, NULL), FACT_NO);
}

static void
test_unset(void **state)
{
	const struct caller root = user(0), owner = user(1000),
			    stranger = user(1001), anon = anonymous(1000);
	struct mapping m = want;

	(void)state;
	m.owner = 1000;
	assert_int_equal(policy_unset(&root, &m, NULL), VERDICT_OK);
	assert_int_equal(policy_unset(&owner, &m, NULL), VERDICT_OK);
	assert_int_equal(policy_unset(&stranger, &m, NULL), VERDICT_DENY_OWNER);
	assert_int_equal(policy_unset(&anon, &m, NULL), VERDICT_DENY_OWNER);
	m.owner = UID_UNKNOWN;
	assert_int_equal(policy_unset(&root, &m, NULL), VERDICT_OK);
	assert_int_equal(policy_unset(&owner, &m, NULL), VERDICT_DENY_OWNER);
	assert_int_equal(policy_unset(&anon, &m, NULL), VERDICT_ASK);
	assert_int_equal(policy_unset(&anon, &m, &stale), VERDICT_OK);
	assert_int_equal(policy_unset(&anon, &m, &by_user), VERDICT_OK);
	assert_int_equal(
	    policy_unset(&anon, &m, &by_other), VERDICT_DENY_OWNER);
	assert_int_equal(policy_unset(&anon, &m, &by_both), VERDICT_DENY_OWNER);
	assert_int_equal(policy_unset(&anon, &m, &unknown), VERDICT_DENY_BUSY);
	m.owner = UID_ROOT;
	assert_int_equal(policy_unset(&owner, &m, NULL), VERDICT_DENY_OWNER);
}

static void
test_callit_callers(void **state)
{
	static const struct {
		struct arrival caller;
		bool served[3]; /* by -c none, host, link */
	} cases[] = {
	    {{true, true, false}, {false, true, true}},
	    {{true, false, false}, {false, true, true}},
	    {{false, true, false}, {false, false, true}},
	    {{false, false, false}, {false, false, false}},
	    {{false, true, true}, {false, false, false}},
	    {{true, true, true}, {false, false, false}},
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
	    cmocka_unit_test(test_questions),
	    cmocka_unit_test(test_quotas),
	    cmocka_unit_test(test_live_entries_of_others),
	    cmocka_unit_test(test_unset),
	    cmocka_unit_test(test_callit_callers),
	    cmocka_unit_test(test_callit_targets),
	    cmocka_unit_test(test_broadcasts),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
