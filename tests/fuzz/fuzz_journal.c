/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever is found in the journal's place; with a right first line if the
 * first byte is odd. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "logsink.h"
#include "policy.h"

static char dir[64], path[96];
static int first_fd; /* of those that the journal may open */

static void
clean_up(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		abort();
}

static void
set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/fuzz.XXXXXX",
	    tmp != NULL                     ? tmp
	    : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
					    : "/tmp");
	CHECK(mkdtemp(dir) != NULL);
	atexit(clean_up);
	snprintf(path, sizeof(path), "%s/journal", dir);
	logsink_open(true);
	logsink_detach();
}

/* What the end of the process does. */
static void
end(void)
{
	for (int fd = first_fd; fd < first_fd + 4; fd++)
		close(fd);
}

static struct table *
load(void)
{
	struct table *t = table_new(1);
	struct mapping own = {PMAP_PROG, 2, IPPROTO_TCP, 111, UID_ROOT};

	CHECK(t != NULL);
	CHECK(table_put(t, &own) == 0);
	own.prot = IPPROTO_UDP;
	CHECK(table_put(t, &own) == 0);
	journal_prepare(path, true, geteuid(), getegid());
	journal_load(t);
	return (t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char header[128];
	const struct mapping *a, *b;
	struct table *t, *again;
	char name[128];
	int fd;

	if (dir[0] == '\0') {
		FILE *f;

		set_up();
		CHECK((first_fd = dup(STDIN_FILENO)) != -1);
		close(first_fd);
		table_free(load()); /* writes a first line */
		end();
		CHECK((f = fopen(path, "r")) != NULL &&
		      fgets(header, sizeof(header), f) != NULL);
		fclose(f);
	}
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK(fd != -1);
	if (size > 0 && (data[0] & 1) &&
	    write(fd, header, strlen(header)) == -1)
		abort();
	if (size > 0 && write(fd, data + 1, size - 1) == -1)
		abort();
	close(fd);

	t = load();
	CHECK(table_count(t) <= QUOTA_ALL + TABLE_SELF);
	CHECK(table_count_class(t, 1) <= QUOTA_CLASS);
	CHECK(table_count_class(t, 1000) <= QUOTA_CLASS);
	for (a = table_first(t); a != NULL; a = table_next(a)) {
		CHECK(a->port >= 1 && a->port <= PORT_MAX);
		CHECK(a->prot == IPPROTO_TCP || a->prot == IPPROTO_UDP);
		CHECK(a->prog != PMAP_PROG || a->vers == 2);
	}
	/* what was written reads the same */
	end();
	again = load();
	for (a = table_first(t), b = table_first(again); a != NULL;
	     a = table_next(a), b = table_next(b))
		CHECK(b != NULL && memcmp(a, b, sizeof(*a)) == 0);
	CHECK(b == NULL);
	end();
	table_free(t);
	table_free(again);
	snprintf(name, sizeof(name), "%s.bad", path);
	unlink(name);
	return (0);
}
