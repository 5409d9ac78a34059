/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection, over a socket pair; its program is not even registered. */
#include "wrap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "crowd.h"
#include "loop.h"
#include "stream.h"
#include "transport.h"

static const struct peer user = {.door = DOOR_LOCAL, .uid = 1000};
static int client, turns;

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	crowd_limits(1024);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		return (-1);
	client = fds[0];
	*state = (void *)(intptr_t)fds[1];
	return (0);
}

static int
teardown(void **state)
{
	wrap_reset();
	(void)state;
	stream_close_all();
	close(client);
	return (crowd_count() == 0 ? 0 : -1);
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
	const uint32_t words[] = {
	    0x80000000u | 40, 9, CALL, 2, 300000, 1, 0, 0, 0, 0, 0};
	uint32_t call[sizeof(words) / sizeof(*words)];

	for (size_t i = 0; i < LENGTH(words); i++)
		call[i] = htonl(words[i]);
	while (n-- > 0)
		if (send(client, call, sizeof(call), MSG_NOSIGNAL) == -1)
			return;
}

static int64_t
one_turn(int64_t now)
{
	if (turns-- == 0)
		loop_stop();
	return (now);
}

static void
run(int n)
{
	turns = n;
	loop_run(one_turn);
}

/* All that has come back so far, in bytes; -1: the connection is closed. */
static ssize_t
answered(void)
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
	stream_adopt(server(state), &user);
	assert_int_equal(answered(), 3 * 28);
	send_calls(1000);
	run(20);
	assert_int_equal(answered() % 28, 0);
	assert_int_equal(crowd_count(), 1);
}

static void
test_out_of_memory_for_a_connection(void **state)
{
	wrap_fail("calloc", 1, ENOMEM);
	stream_adopt(server(state), &user);
	wrap_reset();
	assert_int_equal(answered(), -1);
	assert_int_equal(crowd_count(), 0);
}

static void
test_a_connection_that_breaks(void **state)
{
	wrap_fail("recv", 1, EIO);
	stream_adopt(server(state), &user);
	wrap_reset();
	assert_int_equal(answered(), -1);
}

static void
test_a_client_that_goes_before_it_is_answered(void **state)
{
	stream_adopt(server(state), &user);
	send_calls(3);
	close(client);
	run(3);
	assert_int_equal(crowd_count(), 0);
	client = open("/dev/null", O_RDONLY);
}

/* Answers pile up behind a small buffer until the client owes us reading. */
static void
stop_reading(int fd)
{
	int small = 1;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	stream_adopt(fd, &user);
	for (int i = 0; i < 50 && crowd_debtor() == NULL; i++) {
		send_calls(300);
		run(2);
	}
}

static void
test_a_client_that_reads_late_gets_it_all(void **state)
{
	ssize_t sum = 0;

	stop_reading(server(state));
	assert_non_null(crowd_debtor());
	for (int i = 0; i < 200; i++) {
		ssize_t n = answered();

		assert_int_not_equal(n, -1);
		sum += n;
		run(2);
	}
	assert_null(crowd_debtor());
	assert_int_equal(crowd_count(), 1);
	assert_true(sum > 0 && sum % 28 == 0);
}

static void
test_out_of_memory_for_what_is_owed(void **state)
{
	wrap_fail("malloc", 1, ENOMEM);
	stop_reading(server(state));
	wrap_reset();
	assert_null(crowd_debtor());
	assert_int_equal(crowd_count(), 0);
}

static void
test_a_debtor_that_goes(void **state)
{
	stop_reading(server(state));
	assert_non_null(crowd_debtor());
	close(client);
	run(3);
	assert_int_equal(crowd_count(), 0);
	client = open("/dev/null", O_RDONLY);
}

static void
test_idle_and_owing_for_too_long(void **state)
{
	int64_t now;

	stop_reading(server(state));
	now = loop_now();
	assert_true(stream_tick(now) <= now + CROWD_IDLE_MS);
	assert_int_equal(crowd_count(), 1);
	assert_int_equal(stream_tick(now + CROWD_IDLE_MS + 1), INT64_MAX);
	assert_int_equal(crowd_count(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_answers),
	    T(test_out_of_memory_for_a_connection),
	    T(test_a_connection_that_breaks),
	    T(test_a_client_that_goes_before_it_is_answered),
	    T(test_a_client_that_reads_late_gets_it_all),
	    T(test_out_of_memory_for_what_is_owed),
	    T(test_a_debtor_that_goes),
	    T(test_idle_and_owing_for_too_long),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
