/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines as they come out of standard error, which is a pipe here. */
#include "wrap.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "log.h"

static int saved, reader;

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	if (pipe2(fds, O_NONBLOCK) == -1)
		return (-1);
	saved = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	log_set_verbose(false);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(reader);
	return (0);
}

/* All that was logged since the last time. */
static const char *
logged(void)
{
	static char text[65536];
	ssize_t n = read(reader, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return (text);
}

static void
test_a_line(void **state)
{
	struct peer peer = {.origin = ORIGIN_NETWORK};
	struct mapping m = {100003, 3, IPPROTO_UDP, 2049, 0};

	(void)state;
	inet_pton(AF_INET, "192.0.2.7", &peer.from.sin_addr);
	peer.from.sin_port = htons(1023);
	log_tick(1000000);
	log_refused(&peer, 1, &m, VERDICT_DENY_ORIGIN);
	assert_string_equal(logged(),
	    "portmap: refused proc=set from=192.0.2.7:1023 via=network "
	    "prog=100003 vers=3 prot=17 port=2049 reason=origin\n");
	peer = (struct peer){.origin = ORIGIN_LOCAL, .uid = 1000, .pid = 42};
	log_refused(&peer, 2, &m, VERDICT_DENY_OWNER);
	assert_string_equal(logged(),
	    "portmap: refused proc=unset uid=1000 pid=42 via=local "
	    "prog=100003 vers=3 prot=17 port=2049 reason=owner\n");
}

static void
test_hostile_bytes(void **state)
{
	(void)state;
	log_warning("x %s y", "a\n\033[2Jb\x7f\xff");
	assert_string_equal(logged(), "portmap: x a??[2Jb?? y\n");
}

static void
test_an_overlong_line_is_cut(void **state)
{
	char longer[5000];
	const char *text;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	log_warning("%s", longer);
	text = logged();
	assert_true(strlen(text) < 1600);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
test_repeated_lines_are_limited_and_counted(void **state)
{
	struct peer peer = {.origin = ORIGIN_LOOPBACK};
	struct peer local = {.origin = ORIGIN_LOCAL};
	struct mapping m = {0};
	const char *text;
	size_t lines = 0;

	(void)state;
	log_tick(2000000);
	for (int i = 0; i < 1000; i++)
		log_refused(&peer, 1, &m, VERDICT_DENY_ORIGIN);
	for (text = logged(); (text = strchr(text, '\n')) != NULL; text++)
		lines++;
	assert_int_equal(lines, 5);
	/* other origins and other events have limits of their own */
	log_refused(&local, 1, &m, VERDICT_DENY_QUOTA);
	assert_non_null(strstr(logged(), "refused "));
	log_stale(&m);
	assert_non_null(strstr(logged(), "stale "));
	assert_int_equal(log_tick(2000500), 2001000);
	assert_string_equal(logged(), "");
	assert_int_equal(log_tick(2001000), INT64_MAX);
	assert_string_equal(logged(),
	    "portmap: suppressed event=refused via=loopback lines=995\n");
	log_refused(&peer, 1, &m, VERDICT_DENY_ORIGIN);
	assert_non_null(strstr(logged(), "refused "));
}

static void
test_verbosity(void **state)
{
	struct peer peer = {.origin = ORIGIN_LOOPBACK};
	struct mapping m = {0};

	(void)state;
	log_tick(3000000);
	log_call(&peer, 3, &m, 111);
	log_badcall(&peer, "header");
	assert_string_equal(logged(), "");
	log_set_verbose(true);
	log_call(&peer, 3, &m, 111);
	assert_non_null(strstr(logged(), "call proc=getport "));
	log_badcall(&peer, "header");
	assert_non_null(strstr(logged(), "badcall from="));
	log_call(&peer, 4, NULL, 7);
	assert_string_equal(logged(),
	    "portmap: call proc=dump from=0.0.0.0:0 via=loopback result=7\n");
	log_call(&peer, 77, &m, 0);
	assert_non_null(strstr(logged(), "proc=unknown "));
}

static void
test_a_reader_that_has_stopped_is_not_waited_for(void **state)
{
	(void)state;
	/* 64 KiB fit into the pipe; the rest is lost, and we are still here */
	for (int i = 0; i < 2000; i++)
		log_warning("%0100d", i);
	assert_true(strlen(logged()) > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_a_line),
	    T(test_hostile_bytes),
	    T(test_an_overlong_line_is_cut),
	    T(test_repeated_lines_are_limited_and_counted),
	    T(test_verbosity),
	    T(test_a_reader_that_has_stopped_is_not_waited_for),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
