/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
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
		loop_watch(a[i], NULL, NULL, (void *)(intptr_t)(a[i]));
		loop_watch(b[i], NULL, NULL, (void *)(intptr_t)(b[i]));
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
end(void *arg)
{
	(void)arg;
	calls++;
	loop_stop();
}

static void
forget_the_other(void *arg)
{
	int fd = (int)(intptr_t)arg;

	calls++;
	loop_watch(fd == a[0] ? b[0] : a[0], NULL, NULL,
	    (void *)(intptr_t)(fd == a[0] ? b[0] : a[0]));
	loop_stop();
}

static void
go_on_twice(void *arg)
{
	if (++calls == 3)
		loop_stop();
	else
		loop_defer((int)(intptr_t)arg);
}

static void
test_readable_and_writable(void **state)
{
	(void)state;
	loop_watch(a[0], end, NULL, (void *)(intptr_t)(a[0]));
	assert_int_equal(write(a[1], "x", 1), 1);
	loop_run(never);
	assert_int_equal(calls, 1);
	loop_watch(a[0], NULL, NULL, (void *)(intptr_t)(a[0]));
	loop_watch(b[1], NULL, end, (void *)(intptr_t)(b[1]));
	loop_run(never);
	assert_int_equal(calls, 2);
}

static void
test_what_is_forgotten_is_not_called_in_the_same_turn(void **state)
{
	(void)state;
	loop_watch(a[0], forget_the_other, NULL, (void *)(intptr_t)(a[0]));
	loop_watch(b[0], forget_the_other, NULL, (void *)(intptr_t)(b[0]));
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	loop_run(never);
	assert_int_equal(calls, 1);
}

static void
test_again_needs_no_input(void **state)
{
	(void)state;
	loop_watch(a[0], go_on_twice, NULL, (void *)(intptr_t)(a[0]));
	loop_defer(a[0]);
	loop_defer(a[0]);
	loop_run(never);
	assert_int_equal(calls, 3);
	/* a descriptor that is no longer watched cannot be deferred */
	loop_defer(a[0]);
	loop_watch(a[0], NULL, NULL, (void *)(intptr_t)(a[0]));
	loop_watch(b[1], NULL, end, (void *)(intptr_t)(b[1]));
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
keep_busy(void *arg)
{
	loop_defer((int)(intptr_t)arg);
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
	loop_watch(a[0], keep_busy, NULL, (void *)(intptr_t)(a[0]));
	loop_defer(a[0]);
	loop_run(never);
	assert_int_equal(signals, 2);
	assert_int_equal(last_signal, SIGTERM);
	assert_true(calls < 20);
}

/* Signals that arrive as fast as they are handled do not delay other events. */
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
	loop_watch(a[0], keep_busy, NULL, (void *)(intptr_t)(a[0]));
	loop_defer(a[0]);
	loop_run(never);
	assert_true(signals < 1000);
}

/* Each handler takes half the budget; none is called twice before another. */
static int fair_calls[8];

static void
take_a_millisecond(void *arg)
{
	struct timespec begin, now;
	int *count = arg;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec -
		     begin.tv_nsec <
		 1000000);
	++*count;
	for (size_t i = 0; i < LENGTH(fair_calls); i++) {
		assert_true(*count <= fair_calls[i] + 1);
		assert_true(*count >= fair_calls[i]);
	}
	if (fair_calls[0] == 20)
		loop_stop();
}

static void
test_the_budget_is_shared_in_turn(void **state)
{
	int fds[LENGTH(fair_calls)];

	(void)state;
	assert_int_equal(write(a[1], "x", 1), 1);
	for (size_t i = 0; i < LENGTH(fds); i++) {
		assert_true((fds[i] = dup(a[0])) >= 0);
		loop_watch(fds[i], take_a_millisecond, NULL, &fair_calls[i]);
	}
	loop_run(never);
	assert_int_equal(fair_calls[0], 20);
	for (size_t i = 0; i < LENGTH(fds); i++) {
		loop_watch(fds[i], NULL, NULL, NULL);
		close(fds[i]);
	}
}

/* One that serves everybody has a turn in each iteration, whoever is ready. */
static int shared_calls;

static void
count_shared(void *arg)
{
	(void)arg;
	shared_calls++;
}

static void
test_shared_descriptors_have_a_turn_in_each_iteration(void **state)
{
	int shared, fds[LENGTH(fair_calls)];

	(void)state;
	memset(fair_calls, 0, sizeof(fair_calls));
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	for (size_t i = 0; i < LENGTH(fds); i++) {
		assert_true((fds[i] = dup(a[0])) >= 0);
		loop_watch(fds[i], take_a_millisecond, NULL, &fair_calls[i]);
	}
	/* above the others, so that its number does not favour it */
	assert_true((shared = dup(b[0])) >= 0);
	loop_watch(shared, count_shared, NULL, NULL);
	loop_share(shared);
	loop_run(never);
	assert_int_equal(fair_calls[0], 20);
	assert_true(ticks > 20);
	assert_int_equal(shared_calls, ticks);
	loop_watch(shared, NULL, NULL, NULL);
	close(shared);
	for (size_t i = 0; i < LENGTH(fds); i++) {
		loop_watch(fds[i], NULL, NULL, NULL);
		close(fds[i]);
	}
}

static bool over_after[5]; /* calls */

static void
serve_calls(void *arg)
{
	const bool *costly = arg;
	int64_t began = loop_clock();

	while (*costly && loop_clock() - began <= 200)
		continue;
	for (size_t i = 0; i < LENGTH(over_after); i++)
		over_after[i] = loop_over_slice();
	loop_stop();
}

/* Without this, hundreds of connections cost four slow calls each in a turn. */
static void
test_a_slow_call_ends_the_slice(void **state)
{
	bool costly = false;

	(void)state;
	assert_int_equal(write(a[1], "x", 1), 1);
	loop_watch(a[0], serve_calls, NULL, &costly);
	loop_run(never);
	assert_false(over_after[0]);
	costly = true;
	loop_run(never);
	assert_true(over_after[0]);
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
	    T(test_the_budget_is_shared_in_turn),
	    T(test_a_slow_call_ends_the_slice),
	    T(test_shared_descriptors_have_a_turn_in_each_iteration),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
