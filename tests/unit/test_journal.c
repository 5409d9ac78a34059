/* SPDX-License-Identifier: BSD-2-Clause */
/* Files in a directory of the test's own; what is logged goes nowhere. */
#include "wrap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "log.h"

static char dir[64], path[128], boot[64];
static struct table *table;
static int first_fd; /* of those that the journal may open */

static int
setup(void **state)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

	(void)state;
	if (f == NULL || fgets(boot, sizeof(boot), f) == NULL)
		return (-1);
	fclose(f);
	boot[strcspn(boot, "\n")] = '\0';
	strcpy(dir, "/tmp/test_journal.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return (-1);
	snprintf(path, sizeof(path), "%s/journal", dir);
	first_fd = dup(STDIN_FILENO);
	return (close(first_fd));
}

static int
teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	wrap_reset();
	(void)state;
	return (system(command));
}

static void
put_file(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

/* Start with what is in the directory, with the mapper's own entries. */
static void
load(void)
{
	struct mapping own = {PMAP_PROG, 2, IPPROTO_TCP, 111, UID_ROOT};
	int err, null;

	assert_non_null(table = table_new(1));
	table_put(table, &own);
	own.prot = IPPROTO_UDP;
	table_put(table, &own);
	/* cmocka, too, speaks on standard error */
	err = dup(STDERR_FILENO);
	null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	journal_prepare(path, true, geteuid(), getegid());
	journal_load(table);
	dup2(err, STDERR_FILENO);
	close(err);
	close(null);
}

/* What the end of the process does. */
static void
unload(void)
{
	for (int fd = first_fd; fd < first_fd + 4; fd++)
		close(fd);
	table_free(table);
}

/* What is in the table, one line an entry, without the mapper's own. */
static const char *
content(void)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (const struct mapping *m = table_first(table); m != NULL;
	     m = table_next(m))
		if (m->prog != PMAP_PROG && n < sizeof(text) - 64)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%u %u %u %u %d\n", m->prog, m->vers, m->prot,
			    m->port, (int)m->owner);
	return (text);
}

static void
load_records(const char *records)
{
	char text[4096];
	int n = snprintf(
	    text, sizeof(text), "portmap journal 1 boot=%s\n%s", boot, records);

	put_file(text, (size_t)n);
	load();
}

static void
test_round_trip(void **state)
{
	const struct mapping m[] = {{1, 2, IPPROTO_TCP, 65535, 0},
	    {0xffffffff, 0xffffffff, IPPROTO_UDP, 1, 4294967294u},
	    {3, 1, IPPROTO_UDP, 5000, UID_UNKNOWN},
	    {4, 1, IPPROTO_UDP, 5000, 1000}, {4, 1, IPPROTO_TCP, 5000, 1000},
	    {5, 1, IPPROTO_TCP, 5000, 0}};
	char before[1024];

	(void)state;
	load();
	for (size_t i = 0; i < LENGTH(m); i++) {
		table_put(table, &m[i]);
		journal_set(&m[i]);
	}
	table_remove(table, 4, 1, IPPROTO_TCP);
	table_remove(table, 4, 1, IPPROTO_UDP);
	journal_unset(4, 1, 0);
	table_remove(table, 5, 1, IPPROTO_TCP);
	journal_unset(5, 1, IPPROTO_TCP);
	strcpy(before, content());
	for (int i = 0; i < 3; i++) {
		unload();
		load();
		assert_string_equal(content(), before);
	}
	assert_string_equal(before, "1 2 6 65535 0\n"
				    "4294967295 4294967295 17 1 -2\n"
				    "3 1 17 5000 -1\n");
	unload();
}

static void
test_strict(void **state)
{
	static const char *const bad[] = {"set", "set ", "set 1", "set 1 1 17",
	    "set 1 1 17 5000", "set 1 1 17 5000 ", "set 1 1 17 5000 0 ",
	    "set 1 1 17 5000 0x", "set 1 1 17 5000 --", "set 1 1 17 5000 +1",
	    "set 1 1 17 5000 -1", "set 1 1 17 0 0", "set 1 1 17 65536 0",
	    "set 1 1 18 5000 0", "set 1 1 0 5000 0", "set 1 1 273 5000 0",
	    "set 4294967296 1 17 5000 0", "set 1 4294967296 17 5000 0",
	    "set 01 1 17 5000 0", "set  1 1 17 5000 0", "set -1 1 17 5000 0",
	    "set 1 1 17 5000 4294967295", "set 1 1 17 5000 4294967296",
	    "set 1 1 17 99999999999999999999 0", "SET 1 1 17 5000 0",
	    "set\t1 1 17 5000 0", " set 1 1 17 5000 0", "set 100000 2 17 5 0",
	    "set 100000 7 17 5000 0", "unset 100000 2 0", "unset 7 1",
	    "unset 7 1 ", "unset 7 1 0 ", "unset 7 1 999", "", "xyzzy",
	    "portmap journal 1 boot=x", "set 1 1 17 5000 0\r",
	    "unset 7 1 17 0"};
	char records[512];

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++) {
		snprintf(records, sizeof(records),
		    "set 7 1 17 5007 0\n%s\nset 8 1 6 5008 1\n", bad[i]);
		load_records(records);
		assert_string_equal(content(), "7 1 17 5007 0\n8 1 6 5008 1\n");
		unload();
	}
}

static void
test_torn_last_record(void **state)
{
	static const char last[] = "set 8 1 6 5008 1000\n";
	char records[128];

	(void)state;
	for (size_t n = 0; n < sizeof(last); n++) {
		snprintf(records, sizeof(records), "set 7 1 17 5007 0\n%.*s",
		    (int)n, last);
		load_records(records);
		assert_string_equal(content(),
		    n < sizeof(last) - 1 ? "7 1 17 5007 0\n"
					 : "7 1 17 5007 0\n8 1 6 5008 1000\n");
		unload();
	}
}

static void
test_every_cut_and_every_flip(void **state)
{
	char text[512];
	size_t len;

	(void)state;
	len = (size_t)snprintf(text, sizeof(text),
	    "portmap journal 1 boot=%s\nset 7 1 17 5007 0\n"
	    "set 8 1 6 5008 1000\nunset 7 1 0\nset 9 1 17 5009 -\n",
	    boot);
	for (size_t cut = 0; cut <= len; cut++) {
		put_file(text, cut);
		load();
		assert_true(table_count(table) <= 2 + 2);
		unload();
	}
	for (size_t at = 0; at < len; at++) {
		for (int bit = 0; bit < 8; bit++) {
			char byte = text[at];

			text[at] = (char)(byte ^ (1 << bit));
			put_file(text, len);
			text[at] = byte;
			load();
			assert_true(table_count(table) <= 2 + 3);
			for (const struct mapping *m = table_first(table);
			     m != NULL; m = table_next(m))
				assert_true(m->port >= 1 &&
					    m->port <= PORT_MAX &&
					    (m->prot == 6 || m->prot == 17));
			unload();
		}
	}
}

static void
test_quotas_hold(void **state)
{
	static char text[1 << 20];
	size_t n = (size_t)snprintf(
	    text, sizeof(text), "portmap journal 1 boot=%s\n", boot);

	(void)state;
	for (int i = 0; i < 300; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "set %d 1 17 5000 1000\n", i);
	for (int i = 0; i < 17000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "set %d 1 17 5000 0\n", 1000 + i);
	put_file(text, n);
	load();
	assert_int_equal(table_count_owner(table, 1000), 256);
	assert_int_equal(table_count(table), 16384 + 2);
	unload();
}

static void
test_another_boot(void **state)
{
	(void)state;
	put_file("portmap journal 1 boot=00000000\nset 7 1 17 5007 0\n", 49);
	load();
	assert_string_equal(content(), "");
	unload();
}

/* An untrusted file is kept for the operator, and replaces an earlier one. */
static void
test_moved_aside(void **state)
{
	char aside[160];
	struct stat st;

	(void)state;
	snprintf(aside, sizeof(aside), "%s.bad", path);
	for (int i = 1; i <= 3; i++) {
		put_file("#!/bin/sh\n", 9 + (size_t)i % 2);
		load();
		assert_string_equal(content(), "");
		assert_int_equal(stat(aside, &st), 0);
		assert_int_equal(st.st_size, 9 + i % 2);
		unload();
	}
	for (int i = 4; i <= 8; i++) {
		unlink(path);
		unlink(aside);
		put_file("x\n", 2);
		if (i == 4)
			assert_int_equal(chmod(path, 0644), 0);
		if (i == 5)
			assert_int_equal(chmod(path, 0620), 0);
		if (i > 5)
			unlink(path);
		if (i == 6)
			assert_int_equal(symlink("/etc/passwd", path), 0);
		if (i == 7)
			assert_int_equal(mkfifo(path, 0600), 0);
		if (i == 8)
			assert_int_equal(mkdir(path, 0700), 0);
		load();
		assert_int_equal(lstat(aside, &st), 0);
		assert_int_equal(lstat(path, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		unload();
	}
}

/* It cannot be renamed: no journal is kept, and the file stays. */
static void
test_cannot_be_moved_aside(void **state)
{
	char aside[160], bytes[16] = "";
	int fd;

	(void)state;
	snprintf(aside, sizeof(aside), "%s.bad", path);
	assert_int_equal(mkdir(aside, 0700), 0);
	put_file("#!/bin/sh\n", 10);
	load();
	assert_int_equal(journal_tick(INT64_MAX - 1), INT64_MAX);
	unload();
	assert_true((fd = open(path, O_RDONLY)) >= 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 10);
	assert_string_equal(bytes, "#!/bin/sh\n");
	close(fd);
}

static void
test_compaction(void **state)
{
	struct mapping m = {7, 1, IPPROTO_UDP, 5007, 0};
	struct stat st;
	off_t most = 0;

	(void)state;
	load();
	for (int i = 0; i < 20000; i++) {
		table_put(table, &m);
		journal_set(&m);
		table_remove(table, 7, 1, IPPROTO_UDP);
		journal_unset(7, 1, 0);
		assert_int_equal(stat(path, &st), 0);
		if (st.st_size > most)
			most = st.st_size;
	}
	assert_true(most > 10000 && most < 40000);
	assert_int_equal(st.st_mode & 07777, 0600);
	unload();
	load();
	assert_string_equal(content(), "");
	unload();
}

static void
test_the_directory_vanishes_and_returns(void **state)
{
	struct mapping m = {7, 1, IPPROTO_UDP, 5007, 0};
	int64_t retry;

	(void)state;
	load();
	assert_int_equal(journal_tick(0), INT64_MAX);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	table_put(table, &m);
	journal_set(&m);
	retry = journal_tick(0);
	assert_true(retry < INT64_MAX);
	assert_true(journal_tick(retry) < INT64_MAX);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(journal_tick(INT64_MAX - 1), INT64_MAX);
	m.prog = 8;
	table_put(table, &m);
	journal_set(&m);
	unload();
	load();
	assert_string_equal(content(), "7 1 17 5007 0\n8 1 17 5007 0\n");
	unload();
}

static void
test_a_write_that_fails_or_is_cut_short(void **state)
{
	struct mapping m = {7, 1, IPPROTO_UDP, 5007, 0};

	(void)state;
	load();
	for (int how = 0; how < 2; how++) {
		m.prog = (uint32_t)(10 + how);
		table_put(table, &m);
		wrap_fail("write", 1, how == 0 ? ENOSPC : 0);
		journal_set(&m);
		wrap_reset();
		assert_true(journal_tick(0) < INT64_MAX);
		m.prog += 10;
		table_put(table, &m);
		journal_set(&m); /* is not appended to a torn line */
		assert_int_equal(journal_tick(INT64_MAX - 1), INT64_MAX);
	}
	unload();
	load();
	assert_string_equal(content(), "10 1 17 5007 0\n20 1 17 5007 0\n"
				       "11 1 17 5007 0\n21 1 17 5007 0\n");
	unload();
}

/* A directory has the name of the journal: retried until it is gone. */
static void
test_a_place_that_is_taken(void **state)
{
	struct mapping m = {7, 1, IPPROTO_UDP, 5007, 0};

	(void)state;
	load();
	table_put(table, &m);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	journal_set(&m);
	assert_true(journal_tick(INT64_MAX - 1) < INT64_MAX);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(journal_tick(INT64_MAX - 1), INT64_MAX);
	unload();
	load();
	assert_string_equal(content(), "7 1 17 5007 0\n");
	unload();
}

static void
test_none(void **state)
{
	struct mapping m = {7, 1, IPPROTO_UDP, 5007, 0};
	struct stat st;

	(void)state;
	unlink(path);
	table = table_new(1);
	journal_prepare(NULL, false, 0, 0);
	journal_load(table);
	table_put(table, &m);
	journal_set(&m);
	assert_int_equal(journal_tick(INT64_MAX - 1), INT64_MAX);
	assert_int_equal(stat(path, &st), -1);
	unload();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_none),
	    T(test_round_trip),
	    T(test_strict),
	    T(test_torn_last_record),
	    T(test_every_cut_and_every_flip),
	    T(test_quotas_hold),
	    T(test_another_boot),
	    T(test_compaction),
	    T(test_the_directory_vanishes_and_returns),
	    T(test_a_write_that_fails_or_is_cut_short),
	    T(test_moved_aside),
	    T(test_cannot_be_moved_aside),
	    T(test_a_place_that_is_taken),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
