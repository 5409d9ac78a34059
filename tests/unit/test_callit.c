/* SPDX-License-Identifier: BSD-2-Clause */
/* CALLITs to a service on loopback, whose replies are relayed to one client. */
#include "wrap.h"

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "callit.h"
#include "log.h"
#include "loop.h"
#include "share.h"

enum {
	PER_SOURCE = SHARE_CALLITS_OF_SOURCE,
	NETWORK = 192, /* CALLITs in progress of other hosts */
	LATER_MS = 5000
};

static const struct wire_callit call = {.prog = 300000, .vers = 1};
static struct sockaddr_in addr, client_addr; /* of the service, of the client */
static int service = -1, client = -1, out = -1;
static uint64_t before[CALLIT_OUTCOMES];
static int iterations;

/* Return a socket that is bound to a port of 127.0.0.1. */
static int
open_socket(struct sockaddr_in *own)
{
	socklen_t len = sizeof(*own);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	*own = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_int_equal(bind(fd, (void *)own, sizeof(*own)), 0);
	assert_int_equal(getsockname(fd, (void *)own, &len), 0);
	return (fd);
}

static int
setup_limit(void **state)
{
	(void)state;
	share_limits(1024);
	return (0);
}

/* Each test begins with this, which may skip it. */
static void
begin(void)
{
	need_loopback();
	service = open_socket(&addr);
	client = open_socket(&client_addr);
	out = socket(AF_INET, SOCK_DGRAM, 0);
	memcpy(before, counters.callits, sizeof(before));
}

static int
teardown(void **state)
{
	(void)state;
	wrap_reset();
	callit_tick(loop_now() + LATER_MS);
	close(service);
	close(client);
	close(out);
	return (share_count(POOL_CALLITS) == 0 ? 0 : -1);
}

/* How often there was this outcome in this test. */
static size_t
outcomes(enum callit_outcome outcome)
{
	return ((size_t)(counters.callits[outcome] - before[outcome]));
}

/* A CALLIT of the client, whose source is `host`: 0 is its own address. */
static void
start(uint32_t host, uint32_t xid)
{
	struct callit_return caller = {
	    .peer = {.origin = ORIGIN_NETWORK, .from = client_addr},
	    .local_addr = addr.sin_addr,
	    .fd = out,
	    .xid = xid,
	    .reply_max = 400};

	if (host != 0)
		caller.peer.from.sin_addr.s_addr = htonl(0xc0000200 + host);
	callit_start(&caller, &call, ntohs(addr.sin_port));
}

static int64_t
iterate(int64_t now)
{
	if (share_count(POOL_CALLITS) == 0 || iterations-- == 0)
		loop_stop();
	return (now);
}

/* Reply to all calls that the service has received, and relay that. */
static void
reply_to_all(void)
{
	uint32_t words[16];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	while (recvfrom(service, words, sizeof(words), 0, (void *)&from,
		   &len) != -1) {
		const uint32_t reply[6] = {words[0], htonl(REPLY)};

		sendto(service, reply, sizeof(reply), 0, (void *)&from, len);
	}
	iterations = 1000;
	loop_run(iterate);
}

/* Return the xid of the next reply that the client has, or 0. */
static uint32_t
received(void)
{
	uint32_t words[16];

	return (read(client, words, sizeof(words)) == -1 ? 0 : ntohl(words[0]));
}

static void
test_a_reply_is_relayed(void **state)
{
	(void)state;
	begin();
	start(0, 7);
	assert_int_equal(share_count(POOL_CALLITS), 1);
	reply_to_all();
	assert_int_equal(received(), 7);
	assert_int_equal(share_count(POOL_CALLITS), 0);
	assert_int_equal(outcomes(CALLIT_RELAYED), 1);
}

static void
test_time_runs_out(void **state)
{
	int64_t now = loop_now();

	(void)state;
	begin();
	assert_int_equal(callit_tick(now), INT64_MAX);
	start(0, 1);
	assert_int_equal(callit_tick(now), now + LATER_MS);
	assert_int_equal(callit_tick(now + LATER_MS - 1), now + LATER_MS);
	assert_int_equal(share_count(POOL_CALLITS), 1);
	assert_int_equal(callit_tick(now + LATER_MS), INT64_MAX);
	assert_int_equal(share_count(POOL_CALLITS), 0);
	assert_int_equal(outcomes(CALLIT_EXPIRED), 1);
}

/* Else the sources run out, or a source is at its limit without a CALLIT. */
static void
test_what_has_ended_counts_for_its_source_no_more(void **state)
{
	(void)state;
	begin();
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < PER_SOURCE; i++)
			start(0, i);
		assert_int_equal(share_count(POOL_CALLITS), PER_SOURCE);
		assert_int_equal(outcomes(CALLIT_EVICTED), 0);
		callit_tick(loop_now() + LATER_MS);
		assert_int_equal(share_count(POOL_CALLITS), 0);
	}
	for (uint32_t host = 1; host <= 6 * NETWORK; host++) {
		start(host, 1);
		callit_tick(loop_now() + LATER_MS);
	}
	assert_int_equal(outcomes(CALLIT_EVICTED), 0);
}

static void
test_a_source_at_its_limit_loses_its_oldest(void **state)
{
	bool relayed[PER_SOURCE + 2] = {false};

	(void)state;
	begin();
	for (uint32_t i = 1; i <= PER_SOURCE; i++)
		start(1, i); /* older, and as many */
	for (uint32_t i = 1; i <= PER_SOURCE + 1; i++)
		start(0, i);
	assert_int_equal(outcomes(CALLIT_EVICTED), 1);
	assert_int_equal(share_count(POOL_CALLITS), 2 * PER_SOURCE);
	reply_to_all();
	for (uint32_t i = 1; i <= PER_SOURCE; i++)
		relayed[received()] = true;
	assert_int_equal(received(), 0);
	for (uint32_t i = 1; i <= PER_SOURCE + 1; i++)
		assert_int_equal(relayed[i], i != 1);
}

/* A service that never replies displaces its own calls, and no others. */
static void
test_calls_to_another_service_stay(void **state)
{
	const struct sockaddr_in silent = addr;
	int deaf;

	(void)state;
	begin();
	start(0, 7);
	deaf = service;
	service = open_socket(&addr);
	for (uint32_t i = 0; i < 10 * PER_SOURCE; i++)
		start(0, 100 + i);
	assert_int_equal(share_count(POOL_CALLITS), PER_SOURCE);
	assert_int_equal(outcomes(CALLIT_EVICTED), 9 * PER_SOURCE + 1);
	close(service);
	service = deaf;
	addr = silent;
	reply_to_all();
	assert_int_equal(received(), 7);
}

/* 192 of other hosts: who has the most of them loses the oldest one. */
static void
test_a_new_source_displaces_the_oldest_of_who_has_most(void **state)
{
	uint32_t first;

	(void)state;
	begin();
	start(1, 1);
	start(2, 1);
	start(0, 1);
	start(0, 2);
	start(0, 3);
	for (uint32_t i = 5; i < NETWORK; i++)
		start(i, 1);
	assert_int_equal(share_count(POOL_CALLITS), NETWORK);
	assert_int_equal(outcomes(CALLIT_EVICTED), 0);
	start(250, 1);
	assert_int_equal(outcomes(CALLIT_EVICTED), 1);
	assert_int_equal(share_count(POOL_CALLITS), NETWORK);
	reply_to_all();
	/* in any order */
	first = received();
	assert_true(first == 2 || first == 3);
	assert_int_equal(received(), 5 - first);
	assert_int_equal(received(), 0);
}

static void
test_a_call_that_cannot_be_made(void **state)
{
	int next;

	(void)state;
	begin();
	next = dup(out);
	close(next);
	wrap_fail("socket", 1, EMFILE);
	start(0, 1);
	wrap_reset();
	wrap_fail("getrandom", 1, ENOSYS);
	start(0, 1);
	wrap_reset();
	wrap_fail("send", 1, EPERM); /* a firewall */
	start(0, 1);
	wrap_reset();
	assert_int_equal(outcomes(CALLIT_FAILED), 3);
	assert_int_equal(outcomes(CALLIT_FORWARDED), 0);
	assert_int_equal(share_count(POOL_CALLITS), 0);
	/* no descriptor is left */
	assert_int_equal(dup(out), next);
	close(next);
	start(0, 5);
	reply_to_all();
	assert_int_equal(received(), 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_teardown(f, teardown)
	    T(test_a_reply_is_relayed),
	    T(test_time_runs_out),
	    T(test_what_has_ended_counts_for_its_source_no_more),
	    T(test_a_source_at_its_limit_loses_its_oldest),
	    T(test_calls_to_another_service_stay),
	    T(test_a_new_source_displaces_the_oldest_of_who_has_most),
	    T(test_a_call_that_cannot_be_made),
	};

	return (cmocka_run_group_tests(tests, setup_limit, NULL));
}
