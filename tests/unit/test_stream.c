/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection, over a socket pair; its program is not even registered. */
#include "wrap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "debt.h"
#include "loop.h"
#include "share.h"
#include "stream.h"
#include "transport.h"

enum {
	CALLS = 1000 /* that a client sends at most */
};

/* of another host, so that no debt is in the way on a slow machine */
static struct peer user;
static int client, iterations;
static long allocated;

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	share_limits(1024);
	allocated = wrap_allocated();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		return (-1);
	user = (struct peer){
	    .origin = ORIGIN_NETWORK, .from.sin_addr = {htonl(0xc0000201)}};
	client = fds[0];
	*state = (void *)(intptr_t)fds[1];
	return (0);
}

static int64_t
iterate(int64_t now)
{
	if (iterations-- == 0)
		loop_stop();
	return (now);
}

/* Each iteration serves at least one call, and on a slow machine only one. */
static void
run(int n)
{
	iterations = n;
	loop_run(iterate);
}

static int
teardown(void **state)
{
	wrap_reset();
	(void)state;
	close(client);
	run(CALLS); /* the server notices */
	return (
	    share_count(POOL_CONNECTIONS) == 0 && wrap_allocated() == allocated
		? 0
		: -1);
}

static int
server(void **state)
{
	return ((int)(intptr_t)*state);
}

/* `n` calls of a program that nobody serves, pipelined. */
static void
send_calls(size_t n)
{
	static const uint32_t words[] = {
	    0x80000000u | 40, 9, CALL, 2, 300000, 1, 0, 0, 0, 0, 0};
	static uint32_t calls[CALLS][LENGTH(words)];

	assert_true(n <= CALLS);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < LENGTH(words); j++)
			calls[i][j] = htonl(words[j]);
	(void)!send(client, calls, n * sizeof(calls[0]), MSG_NOSIGNAL);
}

/* All that has come back so far, in bytes; -1: the connection is closed. */
static ssize_t
replied(void)
{
	static char bytes[65536];
	ssize_t n, sum = 0;

	while ((n = read(client, bytes, sizeof(bytes))) > 0)
		sum += n;
	return (n == 0 && sum == 0 ? -1 : sum);
}

static void
test_answers(void **state)
{
	send_calls(3);
	stream_open(server(state), &user, false);
	run(4);
	assert_int_equal(replied(), 3 * 28);
	send_calls(CALLS);
	run(CALLS);
	assert_int_equal(replied() % 28, 0);
	assert_int_equal(share_count(POOL_CONNECTIONS), 1);
}

static void
test_out_of_memory_for_a_connection(void **state)
{
	wrap_fail("calloc", 1, ENOMEM);
	stream_open(server(state), &user, false);
	wrap_reset();
	assert_int_equal(replied(), -1);
	assert_int_equal(share_count(POOL_CONNECTIONS), 0);
}

static void
test_no_room_for_a_connection(void **state)
{
	share_limits(32); /* all descriptors are for other things */
	stream_open(server(state), &user, false);
	assert_int_equal(replied(), -1);
	assert_int_equal(share_count(POOL_CONNECTIONS), 0);
}

static void
test_a_connection_that_breaks(void **state)
{
	wrap_fail("recv", 1, EIO);
	stream_open(server(state), &user, false);
	wrap_reset();
	assert_int_equal(replied(), -1);
}

static void
test_a_client_that_goes_before_it_is_answered(void **state)
{
	stream_open(server(state), &user, false);
	send_calls(3);
	close(client);
	run(4);
	assert_int_equal(share_count(POOL_CONNECTIONS), 0);
	client = open("/dev/null", O_RDONLY);
}

/* As many calls as are read at once, but no room for the replies. */
static void
block(void)
{
	send_calls(370);
	run(370);
}

/* Open a connection that is blocked, because its client does not read. */
static void
stop_reading(int fd)
{
	int small = 1;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	stream_open(fd, &user, false);
	block();
}

static void
test_a_client_that_reads_late_gets_it_all(void **state)
{
	ssize_t sum = 0;

	stop_reading(server(state));
	assert_non_null(share_slowest());
	for (int i = 0; i < 200; i++) {
		ssize_t n = replied();

		assert_int_not_equal(n, -1);
		sum += n;
		run(2);
	}
	assert_null(share_slowest());
	assert_int_equal(share_count(POOL_CONNECTIONS), 1);
	assert_true(sum > 0 && sum % 28 == 0);
}

/* A call for the user takes 6 ms of CPU time. */
static void
owe(void)
{
	struct peer peer = user;
	int64_t end;

	debt_begin(&peer);
	end = loop_cpu_clock() + 6000;
	while (loop_cpu_clock() < end)
		;
	debt_end(&peer, 1, 0);
}

static void
test_the_rest_waits_until_a_debt_is_paid(void **state)
{
	ssize_t sum = 0;
	int64_t began;

	user = (struct peer){.origin = ORIGIN_LOCAL, .uid = 1000};
	stop_reading(server(state));
	owe();
	owe();
	began = loop_now();
	(void)replied(); /* there is room for more */
	for (int i = 0; i < 10; i++) {
		run(2);
		sum = replied();
		/* else this process had to wait for its turn */
		if (loop_now() < began + 600)
			assert_int_equal(sum, 0);
	}
	while (sum == 0 && loop_now() < began + 5000) {
		stream_tick(loop_now());
		run(2);
		sum = replied();
	}
	assert_true(loop_now() >= began + 600);
	assert_true(sum > 0);
}

static void
test_out_of_memory_for_the_output_buffer(void **state)
{
	wrap_fail("malloc", 1, ENOMEM);
	stop_reading(server(state));
	wrap_reset();
	assert_null(share_slowest());
	assert_int_equal(share_count(POOL_CONNECTIONS), 0);
}

static void
test_a_blocked_client_that_disconnects(void **state)
{
	stop_reading(server(state));
	assert_non_null(share_slowest());
	close(client);
	run(3);
	assert_int_equal(share_count(POOL_CONNECTIONS), 0);
	client = open("/dev/null", O_RDONLY);
}

static void
test_blocked_for_too_long(void **state)
{
	int64_t now;

	stop_reading(server(state));
	now = loop_now();
	assert_true(stream_tick(now) <= now + SHARE_IDLE_MS);
	assert_int_equal(share_count(POOL_CONNECTIONS), 1);
	assert_int_equal(stream_tick(now + SHARE_IDLE_MS + 1), INT64_MAX);
	assert_int_equal(share_count(POOL_CONNECTIONS), 0);
}

/* The clock goes on by more than the slice of a connection. */
static void
pass_time(void)
{
	int64_t began = loop_now();

	while (loop_now() < began + 2)
		run(0);
}

static void
test_a_slow_reader_is_not_idle(void **state)
{
	int64_t blocked;

	stop_reading(server(state));
	blocked = loop_now();
	pass_time();
	assert_true(replied() > 0);
	run(370);
	assert_non_null(share_slowest());
	stream_tick(blocked + SHARE_IDLE_MS);
	assert_int_equal(share_count(POOL_CONNECTIONS), 1);
	stream_tick(loop_now() + SHARE_IDLE_MS);
	assert_int_equal(share_count(POOL_CONNECTIONS), 0);
}

/*
 * All connections may have 4 MB of unsent output; beyond that, one of two that
 * are blocked is closed.
 */
enum {
	OUTPUTS = 1000 /* are more than 4 MB */
};

static void
check_room_for_output(void)
{
	int first = client, fds[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client = fds[0];
	stop_reading(fds[1]);
	assert_int_equal(share_count(POOL_CONNECTIONS), 2);
	close(first);
}

static void
test_output_that_was_sent_counts_no_more(void **state)
{
	stop_reading(server(state));
	for (int i = 0; i < OUTPUTS; i++) {
		assert_non_null(share_slowest());
		for (int n = 0; n < 100 && share_slowest() != NULL; n++) {
			assert_int_not_equal(replied(), -1);
			run(0);
		}
		assert_null(share_slowest());
		block();
	}
	check_room_for_output();
}

static void
test_output_of_closed_connections_counts_no_more(void **state)
{
	int fd = server(state);

	for (int i = 0; i < OUTPUTS; i++) {
		stop_reading(fd);
		assert_non_null(share_slowest());
		close(client);
		run(2);
		assert_int_equal(share_count(POOL_CONNECTIONS), 0);
		assert_int_equal(setup(state), 0);
		fd = server(state);
	}
	stop_reading(fd);
	check_room_for_output();
}

/* libtirpc keeps what its first call needs, and is counted if it is static. */
static int
first_call(void **state)
{
	/* as loop_signals() does */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || setup(state) == -1)
		return (-1);
	stream_open(server(state), &user, false);
	send_calls(1);
	run(2);
	close(client);
	run(2);
	return (share_count(POOL_CONNECTIONS) == 0 ? 0 : -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_answers),
	    T(test_out_of_memory_for_a_connection),
	    T(test_no_room_for_a_connection),
	    T(test_a_connection_that_breaks),
	    T(test_a_client_that_goes_before_it_is_answered),
	    T(test_a_client_that_reads_late_gets_it_all),
	    T(test_the_rest_waits_until_a_debt_is_paid),
	    T(test_out_of_memory_for_the_output_buffer),
	    T(test_a_blocked_client_that_disconnects),
	    T(test_blocked_for_too_long),
	    T(test_a_slow_reader_is_not_idle),
	    T(test_output_that_was_sent_counts_no_more),
	    T(test_output_of_closed_connections_counts_no_more),
	};

	return (cmocka_run_group_tests(tests, first_call, NULL));
}
