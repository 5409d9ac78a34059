/* SPDX-License-Identifier: BSD-2-Clause */
/* What a glance and a search find, and who pays: sock_diag is replaced. */
#include "wrap.h"

#include <netinet/in.h>

#include "holder.h"
#include "loop.h"
#include "peer.h"
#include "sockdiag.h"

enum {
	USER = 1000,
	OTHER = 1001,
	PORT = 5000
};

static enum port_state state; /* at 127.0.0.1 */
static uid_t receiver;        /* there */
static uid_t owners[3];       /* of the sockets of the port */
static size_t owners_count;
static int result;    /* of a dump */
static int64_t takes; /* CPU time, in us */
static bool also_bound_wanted;
static unsigned dumps, clocks;
static int64_t now = 1000, cpu;

int64_t
loop_now(void)
{
	return (now);
}

int64_t
loop_cpu_clock(void)
{
	return (cpu);
}

int64_t
loop_clock(void)
{
	clocks++;
	return (0);
}

enum port_state
sockdiag_exact(
    uint32_t prot, struct in_addr addr, int ifindex, uint32_t port, uid_t *uid)
{
	assert_int_equal(prot, IPPROTO_UDP);
	assert_int_equal(port, PORT);
	assert_int_equal(ntohl(addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ifindex, PEER_LO);
	cpu += takes;
	*uid = receiver;
	return (state);
}

int
sockdiag_dump(uint32_t prot, uint32_t port, bool also_bound,
    void (*found)(uid_t uid, void *arg), void *arg)
{
	assert_int_equal(prot, IPPROTO_UDP);
	assert_int_equal(port, PORT);
	assert_int_equal(also_bound, also_bound_wanted);
	dumps++;
	cpu += takes;
	for (size_t i = 0; i < owners_count; i++)
		found(owners[i], arg);
	return (result);
}

static const struct caller payer = {USER, USER};

static struct port_use
glance(uid_t user)
{
	return (holder_glance(&payer, IPPROTO_UDP, PORT, user));
}

static struct port_use
search(uid_t user)
{
	return (
	    holder_search(&payer, IPPROTO_UDP, PORT, user, also_bound_wanted));
}

static int
setup(void **unused)
{
	(void)unused;
	state = PORT_FREE;
	receiver = UID_UNKNOWN;
	owners_count = 0;
	result = 0;
	takes = 0;
	dumps = clocks = 0;
	also_bound_wanted = false;
	now += 1000000; /* all is paid */
	return (0);
}

static void
test_glance(void **unused)
{
	struct port_use use = glance(USER);

	(void)unused;
	assert_true(use.known && !use.bound);
	state = PORT_UNKNOWN;
	assert_false(glance(USER).known);
	state = PORT_BOUND;
	receiver = USER;
	use = glance(USER);
	assert_true(use.known && use.bound && use.by_user);
	assert_false(use.by_root || use.by_others);
	use = glance(UID_UNKNOWN);
	assert_true(use.bound && use.by_others && !use.by_user);
	receiver = UID_ROOT;
	use = glance(USER);
	assert_true(use.bound && use.by_root && use.by_others && !use.by_user);
	assert_int_equal(dumps, 0);
	assert_int_equal(clocks, 5); /* for loop_over_slice() */
}

static void
test_search(void **unused)
{
	struct port_use use = search(USER);

	(void)unused;
	assert_true(use.known && !use.bound);
	owners[owners_count++] = OTHER;
	use = search(USER);
	assert_true(use.known && use.bound && use.by_others);
	assert_false(use.by_user || use.by_root);
	owners[owners_count++] = USER;
	use = search(USER);
	assert_true(use.by_user && use.by_others && !use.by_root);
	owners[0] = UID_ROOT;
	use = search(USER);
	assert_true(use.by_user && use.by_others && use.by_root);
	also_bound_wanted = true;
	assert_true(search(USER).known);
	assert_int_equal(clocks, 5);
	owners_count = 0;
	result = -1;
	assert_false(search(USER).known);
}

/* A glance and a search; return false if this caller has to wait. */
static bool
spend(const struct caller *caller)
{
	bool waits = holder_must_wait(caller);
	struct port_use use = holder_glance(caller, IPPROTO_UDP, PORT, USER);

	assert_int_equal(use.known, !waits);
	if (use.known)
		use = holder_search(caller, IPPROTO_UDP, PORT, USER, false);
	assert_int_equal(use.known, !waits);
	return (use.known);
}

static unsigned
spend_all(const struct caller *caller)
{
	unsigned n = 0;

	while (spend(caller))
		assert_true(++n < 1000);
	return (n);
}

/* One percent, after a burst of 5 ms. */
static void
test_each_pays(void **unused)
{
	(void)unused;
	takes = 500;
	assert_int_equal(spend_all(&payer), 6);
	dumps = 0;
	assert_false(spend(&payer));
	assert_int_equal(dumps, 0);
	now += 100;
	assert_int_equal(spend_all(&payer), 1);
	now += 600;
	assert_int_equal(spend_all(&payer), 6);
	/* nor is it free if it is short */
	now += 1000;
	takes = 5;
	assert_int_equal(spend_all(&payer), 501);
}

/* An anonymous caller may have sent in the name of its user. */
static void
test_nobody_pays_for_others(void **unused)
{
	static const struct caller others[] = {{UID_ROOT, UID_ROOT}, {100, 100},
	    {OTHER, OTHER}, {UID_UNKNOWN, USER}, {UID_UNKNOWN, UID_ROOT},
	    {UID_UNKNOWN, UID_UNKNOWN}};

	(void)unused;
	takes = 500;
	spend_all(&payer);
	assert_int_equal(spend_all(NULL), 6);
	for (size_t i = 0; i < LENGTH(others); i++)
		assert_int_equal(
		    spend_all(&others[i]), others[i].user == UID_ROOT ? 51 : 6);
	/* who has a uid for each account of other users */
	now += 1000000;
	for (uid_t uid = 100000; uid < 110000; uid++)
		spend_all(&(struct caller){uid, uid});
	assert_false(holder_must_wait(NULL));
	for (size_t i = 0; i < LENGTH(others); i++)
		assert_int_equal(
		    holder_must_wait(&others[i]), others[i].uid == OTHER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, setup)
	    T(test_glance),
	    T(test_search),
	    T(test_each_pays),
	    T(test_nobody_pays_for_others),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
