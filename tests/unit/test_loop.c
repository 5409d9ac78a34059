/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "loop.h"

static int a[2], b[2];
static int calls, ticks, signals, last_signal;
static int64_t deadline;

static int
setup(void **state)
{
	(void)state;
	calls = ticks = signals = 0;
	return (pipe2(a, O_NONBLOCK) == -1 || pipe2(b, O_NONBLOCK) == -1);
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		loop_watch(a[i], NULL, NULL);
		loop_watch(b[i], NULL, NULL);
		close(a[i]);
		close(b[i]);
	}
	return (0);
}

static int64_t
never(int64_t now)
{
	(void)now;
	ticks++;
	return (INT64_MAX);
}

static void
end(int fd)
{
	(void)fd;
	calls++;
	loop_stop();
}

static void
forget_the_other(int fd)
{
	calls++;
	loop_watch(fd == a[0] ? b[0] : a[0], NULL, NULL);
	loop_stop();
}

static void
go_on_twice(int fd)
{
	if (++calls == 3)
		loop_stop();
	else
		loop_again(fd);
}

static void
test_readable_and_writable(void **state)
{
	(void)state;
	loop_watch(a[0], end, NULL);
	assert_int_equal(write(a[1], "x", 1), 1);
	loop_run(never);
	assert_int_equal(calls, 1);
	loop_watch(a[0], NULL, NULL);
	loop_watch(b[1], NULL, end);
	loop_run(never);
	assert_int_equal(calls, 2);
}

static void
test_what_is_forgotten_is_not_called_in_the_same_turn(void **state)
{
	(void)state;
	loop_watch(a[0], forget_the_other, NULL);
	loop_watch(b[0], forget_the_other, NULL);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	loop_run(never);
	assert_int_equal(calls, 1);
}

static void
test_again_needs_no_input(void **state)
{
	(void)state;
	loop_watch(a[0], go_on_twice, NULL);
	loop_again(a[0]);
	loop_again(a[0]);
	loop_run(never);
	assert_int_equal(calls, 3);
	/* who is forgotten has nothing left to do */
	loop_again(a[0]);
	loop_watch(a[0], NULL, NULL);
	loop_watch(b[1], NULL, end);
	loop_run(never);
	assert_int_equal(calls, 4);
}

static int64_t
until_deadline(int64_t now)
{
	ticks++;
	assert_int_equal(now, loop_now());
	if (deadline == 0)
		deadline = now + 30;
	if (now >= deadline)
		loop_stop();
	return (deadline);
}

static void
test_deadlines(void **state)
{
	(void)state;
	deadline = 0;
	loop_run(until_deadline);
	assert_true(loop_now() >= deadline);
	assert_true(ticks >= 2 && ticks < 10);
}

static void
on_signal(int sig)
{
	last_signal = sig;
	if (++signals == 2)
		loop_stop();
}

static void
keep_busy(int fd)
{
	loop_again(fd);
	if (++calls == 10)
		raise(SIGTERM);
	assert_true(calls < 100000);
}

static void
test_signals_are_events_even_under_load(void **state)
{
	(void)state;
	assert_int_equal(loop_signals(on_signal), 0);
	raise(SIGHUP);
	raise(SIGPIPE);
	loop_watch(a[0], keep_busy, NULL);
	loop_again(a[0]);
	loop_run(never);
	assert_int_equal(signals, 2);
	assert_int_equal(last_signal, SIGTERM);
	assert_true(calls < 20);
}

/* Who sends signals as fast as they are handled holds nobody else up. */
static void
on_signal_again(int sig)
{
	signals++;
	if (sig == SIGHUP && signals < 1000)
		raise(SIGHUP);
	if (sig == SIGTERM)
		loop_stop();
}

static void
test_signals_without_end(void **state)
{
	(void)state;
	assert_int_equal(loop_signals(on_signal_again), 0);
	raise(SIGHUP);
	loop_watch(a[0], keep_busy, NULL);
	loop_again(a[0]);
	loop_run(never);
	assert_true(signals < 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_readable_and_writable),
	    T(test_what_is_forgotten_is_not_called_in_the_same_turn),
	    T(test_again_needs_no_input),
	    T(test_deadlines),
	    T(test_signals_are_events_even_under_load),
	    T(test_signals_without_end),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
