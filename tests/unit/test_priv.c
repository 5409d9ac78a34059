/* SPDX-License-Identifier: BSD-2-Clause */
/* Each case in a child: it gives privileges up for good, or ends with 1. */
#include "wrap.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "priv.h"

/* The status that a child ends with; what it says goes nowhere. */
static int
in_child(void (*run)(void))
{
	pid_t pid;
	int status;

	fflush(NULL);
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		close(STDERR_FILENO);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static void
drop_to_self(void)
{
	struct identity id = priv_identity("nobody", NULL, true);

	id.stay = true;
	id.uid = geteuid();
	id.gid = getegid();
	priv_drop(&id);
}

static void
drop_to_nobody(void)
{
	struct identity id = {"nobody", 65534, 65534, false};

	priv_drop(&id);
}

/* A user namespace with one uid lets nobody do it. */
static void
try_to_become_nobody(void)
{
	if (setgroups(0, NULL) == -1 || setuid(65534) == -1)
		_exit(1);
}

static void
without_setresuid(void)
{
	wrap_fail("setresuid", 1, EAGAIN);
	drop_to_nobody();
}

static void
without_setresgid(void)
{
	wrap_fail("setresgid", 1, EPERM);
	drop_to_nobody();
}

static void
without_setgroups(void)
{
	wrap_fail("setgroups", 1, EPERM);
	drop_to_nobody();
}

static void
without_no_new_privs(void)
{
	wrap_fail_value("prctl", PR_SET_NO_NEW_PRIVS, EINVAL);
	drop_to_self();
}

static void
without_capset(void)
{
	wrap_fail_value("syscall", SYS_capset, EPERM);
	drop_to_self();
}

static void
without_capget(void)
{
	wrap_fail_value("syscall", SYS_capget, EPERM);
	drop_to_self();
}

static void
no_such_user(void)
{
	priv_identity("no-such-user", NULL, false);
}

static void
no_such_group(void)
{
	priv_identity("root", "no-such-group", false);
}

static void
number_too_large(void)
{
	priv_identity("4294967295", NULL, false);
}

static void
test_drop(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_to_self), 0);
	assert_int_equal(
	    in_child(drop_to_nobody), in_child(try_to_become_nobody));
}

static void
test_failures_are_fatal(void **state)
{
	static void (*const cases[])(void) = {without_setresuid,
	    without_setresgid, without_setgroups, without_no_new_privs,
	    without_capset, without_capget};
	/* after which another start would fail as well */
	static void (*const options[])(void) = {
	    no_such_user, no_such_group, number_too_large};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		assert_int_equal(in_child(cases[i]), 1);
	for (size_t i = 0; i < LENGTH(options); i++)
		assert_int_equal(in_child(options[i]), 2);
}

static void
check_limits(void)
{
	struct rlimit limit = {2000, 4096};

	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		_exit(9);
	if (priv_limits() != 1024)
		_exit(2);
	limit.rlim_cur = limit.rlim_max = 100;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1 || priv_limits() != 100)
		_exit(3);
	if (getrlimit(RLIMIT_CORE, &limit) == -1 || limit.rlim_max != 0)
		_exit(4);
}

static void
too_few_descriptors(void)
{
	struct rlimit limit = {63, 63};

	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		priv_limits();
}

static void
test_limits(void **state)
{
	(void)state;
	assert_int_equal(in_child(check_limits), 0);
	assert_int_equal(in_child(too_few_descriptors), 1);
}

static void
test_identity(void **state)
{
	struct identity id;

	(void)state;
	if (geteuid() == 0) {
		id = priv_identity("1234", "99", false);
		assert_int_equal(id.uid, 1234);
		assert_int_equal(id.gid, 99);
		assert_false(id.stay);
		id = priv_identity("root", NULL, false);
		assert_true(id.stay);
	} else {
		id = priv_identity("daemon", NULL, true);
		assert_true(id.stay);
		assert_int_equal(id.uid, geteuid());
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_failures_are_fatal),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_identity),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
