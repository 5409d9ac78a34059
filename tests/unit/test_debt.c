/* SPDX-License-Identifier: BSD-2-Clause */
/* Who pays for slow system calls: both clocks are this test's. */
#include "wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "debt.h"
#include "ifaddr.h"
#include "log.h"
#include "loop.h"
#include "peer.h"

enum {
	SUSPECT = 16,
	USERS = 64,
	HOUR = 3600000
};

static int64_t now;      /* ms */
static int64_t cpu_step; /* between two looks at the clock */
static int64_t clock_us, cpu_us;
static unsigned cpu_reads, logged;
static uid_t socket_uid = UID_UNKNOWN;

int64_t
loop_now(void)
{
	return (now);
}

int64_t
loop_clock(void)
{
	return (clock_us);
}

int64_t
loop_cpu_clock(void)
{
	cpu_reads++;
	cpu_us += cpu_step;
	return (cpu_us);
}

bool
ifaddr_is_own(struct in_addr addr)
{
	return (ntohl(addr.s_addr) == 0xc0000201);
}

unsigned
peer_privileged_ports(void)
{
	return (1024);
}

uid_t
peer_socket_uid(const struct peer *peer)
{
	(void)peer;
	return (socket_uid);
}

void
log_debt(const struct peer *peer, int64_t us)
{
	(void)peer;
	(void)us;
	logged++;
}

static struct peer
user(uid_t uid)
{
	return ((struct peer){.origin = ORIGIN_LOCAL, .uid = uid});
}

static struct peer
port(uint32_t prot, uint32_t addr, in_port_t source)
{
	struct peer peer = {
	    .origin = ORIGIN_LOOPBACK, .uid = UID_UNKNOWN, .prot = prot};

	peer.from.sin_port = htons(source);
	peer.from.sin_addr.s_addr = htonl(addr);
	return (peer);
}

/* A system call for a caller that takes so long, by both clocks. */
static void
call(struct peer *peer, int64_t wall, int64_t cpu)
{
	debt_begin(peer);
	clock_us += wall;
	cpu_us += cpu;
	assert_int_equal(
	    debt_end(peer, 1, 0), cpu_reads > 0 ? cpu > 100 : wall > 100);
	cpu_reads = 0;
}

/* Who has made a suspect of himself, and then owes this much, in us. */
static void
owe(struct peer *peer, int64_t us)
{
	call(peer, 200, 200);
	call(peer, us, us);
}

/* Each test begins when all earlier debts are paid. */
static int
setup(void **state)
{
	(void)state;
	now += HOUR;
	logged = 0;
	socket_uid = UID_UNKNOWN;
	return (0);
}

static void
test_short_calls_cost_nothing(void **state)
{
	struct peer peer = user(1000);

	(void)state;
	for (int i = 0; i < 1000; i++)
		call(&peer, 100, 100);
	assert_false(debt_is_suspect(&peer));
	assert_int_equal(debt_until(&peer), 0);
}

static void
test_nobody_pays_for_other_processes(void **state)
{
	struct peer peer = user(1000);

	(void)state;
	for (int i = 0; i < 1000; i++)
		call(&peer, 50000, 20);
	assert_int_equal(debt_until(&peer), 0);
	assert_int_equal(logged, 0);
}

static void
test_a_suspect_is_measured_for_a_while(void **state)
{
	struct peer peer = user(1000), other = user(1001);

	(void)state;
	call(&peer, 200, 20);
	assert_true(debt_is_suspect(&peer));
	assert_false(debt_is_suspect(&other));
	for (int i = 0; i < SUSPECT; i++) {
		assert_true(debt_is_suspect(&peer));
		call(&peer, 20, 20);
	}
	assert_false(debt_is_suspect(&peer));
}

static void
test_an_accident_is_forgiven(void **state)
{
	struct peer peer = user(1000);

	(void)state;
	owe(&peer, 4000);
	assert_int_equal(debt_until(&peer), 0);
	/* ten seconds later, once more */
	now += 10001;
	owe(&peer, 4000);
	assert_int_equal(debt_until(&peer), 0);
	/* and at once again: 200 times as long, on top of that */
	call(&peer, 1000, 1000);
	assert_int_equal(debt_until(&peer), 0);
	call(&peer, 4000, 4000);
	assert_int_equal(debt_until(&peer), now + 750);
	assert_int_equal(logged, 1);
	now += 749;
	assert_int_equal(debt_until(&peer), now + 1);
	now++;
	assert_int_equal(debt_until(&peer), 0);
}

/* Interrupts take 300 us of one call in a hundred, or 110 us of every 15th. */
static void
test_nobody_pays_for_interrupts(void **state)
{
	static const struct {
		int every;
		int64_t us;
	} cases[] = {{100, 300}, {15, 110}};
	struct peer peer = port(IPPROTO_UDP, INADDR_LOOPBACK, 5000);

	(void)state;
	for (int i = 0; i < 10000; i++) {
		size_t which = i < 5000 ? 0 : 1;
		int64_t us = i % cases[which].every == 0 ? cases[which].us : 5;

		now += i % 10 == 0; /* 10,000 calls a second */
		call(&peer, us, us);
		assert_int_equal(debt_until(&peer), 0);
	}
}

/* Every tenth call of this one takes 300 us. */
static void
test_the_average_counts(void **state)
{
	struct peer peer = user(1000);
	int served = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		now += i % 10 == 0;
		if (debt_until(&peer) != 0)
			continue;
		call(&peer, 20, served % 10 == 0 ? 300 : 20);
		call(&peer, 200, 20); /* he stays a suspect */
		served++;
	}
	assert_in_range(served, 20, 2000);
}

static void
test_no_accident_takes_that_long(void **state)
{
	struct peer peer = user(1000);

	(void)state;
	owe(&peer, 5000);
	assert_int_equal(debt_until(&peer), now + 500);
	call(&peer, 1000000, 1000000); /* 200 s, but 60 at most */
	assert_int_equal(debt_until(&peer), now + 60500);
}

static void
test_who_never_pays(void **state)
{
	struct peer root = user(UID_ROOT);
	struct peer network = port(IPPROTO_UDP, 0xc0000202, 5000);
	struct peer privileged = port(IPPROTO_UDP, INADDR_LOOPBACK, 1023);

	(void)state;
	owe(&privileged, 50000);
	assert_int_equal(debt_until(&privileged), 0);
	owe(&root, 50000);
	call(&network, 50000, 50000);
	assert_false(debt_is_suspect(&network));
	assert_int_equal(debt_until(&root), 0);
	assert_int_equal(debt_until(&network), 0);
}

static void
test_ipv6(void **state)
{
	struct peer one = {.origin = ORIGIN_IPV6,
	    .uid = UID_UNKNOWN,
	    .prot = IPPROTO_UDP,
	    .from6 = {.sin6_port = htons(5000), .sin6_addr = in6addr_loopback}};
	struct peer port = one, addr = one;

	(void)state;
	port.from6.sin6_port = htons(5001);
	addr.from6.sin6_addr.s6_addr[0] = 1;
	owe(&one, 5000);
	assert_int_equal(debt_until(&one), now + 500);
	assert_int_equal(debt_until(&port), 0);
	assert_int_equal(debt_until(&addr), 0);
}

static void
test_a_debt_outlives_the_connection(void **state)
{
	struct peer first = port(IPPROTO_TCP, INADDR_LOOPBACK, 5000);
	struct peer second = port(IPPROTO_TCP, 0xc0000201, 5001);
	struct peer local = user(1000);

	(void)state;
	socket_uid = 1000;
	owe(&first, 5000);
	assert_int_equal(first.uid, 1000);
	assert_int_equal(debt_until(&first), now + 500);
	assert_int_equal(debt_until(&second), now + 500);
	assert_int_equal(debt_until(&local), now + 500);
	/* a socket of nobody's: the connection pays */
	socket_uid = UID_UNKNOWN;
	first = port(IPPROTO_TCP, INADDR_LOOPBACK, 5002);
	owe(&first, 5000);
	assert_int_equal(debt_until(&first), now + 500);
	second = port(IPPROTO_UDP, INADDR_LOOPBACK, 5002);
	assert_int_equal(debt_until(&second), 0);
	second = port(IPPROTO_NONE, INADDR_LOOPBACK, 5002);
	assert_int_equal(debt_until(&second), 0);
}

/* The same port of another address is another caller's. */
static void
test_addresses_differ(void **state)
{
	struct peer peer = port(IPPROTO_UDP, INADDR_LOOPBACK, 8000);

	(void)state;
	owe(&peer, 5000);
	for (uint32_t i = 1; i < 100; i++) {
		struct peer other =
		    port(IPPROTO_UDP, INADDR_LOOPBACK + i, 8000);

		assert_int_equal(debt_until(&other), 0);
	}
	assert_int_equal(debt_until(&peer), now + 500);
	/* nor do those pay that have the same place in the table */
	for (in_port_t source = 1; source < UINT16_MAX; source++)
		for (uint32_t i = 1; i < 20; i++) {
			struct peer other =
			    port(IPPROTO_UDP, INADDR_LOOPBACK + i, source);

			assert_int_equal(debt_until(&other), 0);
		}
}

/* Who he is turns out within the call: when his connection is one, in time. */
static void
test_a_uid_that_is_found_late(void **state)
{
	struct peer peer = port(IPPROTO_TCP, INADDR_LOOPBACK, 5100);
	struct peer local = user(1100);

	(void)state;
	call(&local, 200, 20);
	for (int i = 0; i < SUSPECT; i++)
		call(&local, 20, 20);
	assert_false(debt_is_suspect(&local));
	call(&peer, 200, 20);
	debt_begin(&peer);
	socket_uid = 1100;
	debt_end(&peer, 1, 0);
	assert_int_equal(peer.uid, 1100);
	assert_false(debt_is_suspect(&local));
}

static void
test_errno_is_that_of_the_call(void **state)
{
	struct peer peer = user(1000);

	(void)state;
	call(&peer, 200, 200);
	debt_begin(&peer);
	clock_us += 5000;
	cpu_us += 5000;
	errno = EAGAIN;
	debt_end(&peer, 1, 0); /* reads the packets that it cannot read */
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(logged, 1);
}

/* Else a thousand ports with some sockets each would do as much harm. */
static void
test_ports_pay_in_turn(void **state)
{
	struct peer a = port(IPPROTO_UDP, INADDR_LOOPBACK, 6000);
	struct peer b = port(IPPROTO_UDP, 0xc0000201, 6001);

	(void)state;
	owe(&a, 5000);
	owe(&b, 5000);
	assert_int_equal(debt_until(&a), now + 500);
	assert_int_equal(debt_until(&b), now + 1500);
}

static void
test_several_callers_are_suspects(void **state)
{
	struct peer peer = port(IPPROTO_UDP, INADDR_LOOPBACK, 7000);

	(void)state;
	debt_begin(NULL);
	clock_us += 1000;
	assert_true(debt_end(NULL, 8, 0));
	debt_suspect(&peer);
	assert_true(debt_is_suspect(&peer));
	assert_int_equal(debt_until(&peer), 0);
	call(&peer, 5000, 5000);
	assert_int_equal(debt_until(&peer), now + 500);
}

static void
test_there_is_no_room_for_more_users(void **state)
{
	struct peer one_more = user(3000);

	(void)state;
	for (uid_t uid = 2000; uid < 2000 + USERS; uid++) {
		struct peer peer = user(uid);

		owe(&peer, 5000 + (int64_t)(uid - 2000));
		assert_true(debt_until(&peer) > now);
	}
	call(&one_more, 5000, 5000);
	assert_int_equal(debt_until(&one_more), 0);
	/* the first one has paid */
	now += 1001;
	owe(&one_more, 5000);
	assert_int_equal(debt_until(&one_more), now + 500);
}

/* What many messages, or a long one, may take. */
static void
test_long_calls(void **state)
{
	static const struct {
		unsigned messages;
		size_t bytes;
		int64_t us;
		bool slow;
	} cases[] = {{1, 511, 100, false}, {1, 511, 101, true},
	    {1, 512, 101, false}, {1, 51200, 200, false}, {1, 51200, 201, true},
	    {8, 0, 240, false}, {8, 0, 241, true}};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		debt_begin(NULL);
		clock_us += cases[i].us;
		assert_int_equal(
		    debt_end(NULL, cases[i].messages, cases[i].bytes),
		    cases[i].slow);
	}
}

/* Let every processor have received so many packets. */
static void
receive(FILE *f, unsigned packets)
{
	rewind(f);
	for (int cpu = 0; cpu < 64; cpu++)
		fprintf(f,
		    "%08x 00000000 00000000 00000000 00000000 00000000 "
		    "00000000 00000000 00000000 00000000 00000000 00000000 "
		    "%08x 00000000 00000000\n",
		    packets, cpu);
	fflush(f);
}

static void
test_nobody_pays_for_a_flood(void **state)
{
	static const struct {
		unsigned before, after;
		bool pays;
	} cases[] = {{7, 8, true}, {7, 2000, false}, {7, 200, true},
	    {0xfffffff0, 2000, false}};
	char path[] = "/tmp/test_debt.XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	(void)state;
	receive(f, 0);
	debt_open(path, 0x9e3779b97f4a7c15);
	unlink(path);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct peer peer = user(1000);

		now += HOUR;
		receive(f, cases[i].before);
		call(&peer, 200, 200);
		debt_begin(&peer);
		receive(f, cases[i].after);
		clock_us += 8000;
		cpu_us += 8000;
		assert_int_equal(debt_end(&peer, 1, 0), cases[i].pays);
		assert_int_equal(debt_until(&peer) != 0, cases[i].pays);
		cpu_reads = 0;
	}
	fclose(f);
}

/* An emulator, for example, which takes 50 us for a pair of system calls. */
static void
test_slow_from_the_start(void **state)
{
	static const struct {
		int64_t us;
		bool slow, waits;
	} cases[] = {
	    {2500, false, false}, {100000, true, false}, {130000, true, true}};
	struct peer peer = user(1000);

	(void)state;
	cpu_step = 64 * 50;
	debt_open("/nonexistent", 0x9e3779b97f4a7c15);
	cpu_step = 0;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		now += HOUR;
		for (int n = 0; n < 2; n++) {
			debt_begin(&peer);
			clock_us += cases[i].us;
			cpu_us += cases[i].us;
			assert_int_equal(debt_end(&peer, 1, 0), cases[i].slow);
		}
		assert_int_equal(debt_until(&peer) != 0, cases[i].waits);
	}
	debt_open("/nonexistent", 0x9e3779b97f4a7c15);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, setup)
	    T(test_short_calls_cost_nothing),
	    T(test_nobody_pays_for_other_processes),
	    T(test_a_suspect_is_measured_for_a_while),
	    T(test_an_accident_is_forgiven),
	    T(test_nobody_pays_for_interrupts),
	    T(test_the_average_counts),
	    T(test_no_accident_takes_that_long),
	    T(test_who_never_pays),
	    T(test_ipv6),
	    T(test_a_debt_outlives_the_connection),
	    T(test_addresses_differ),
	    T(test_a_uid_that_is_found_late),
	    T(test_errno_is_that_of_the_call),
	    T(test_ports_pay_in_turn),
	    T(test_several_callers_are_suspects),
	    T(test_there_is_no_room_for_more_users),
	    T(test_long_calls),
	    T(test_nobody_pays_for_a_flood),
	    T(test_slow_from_the_start),
	};

	debt_open("/nonexistent", 0x9e3779b97f4a7c15);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
