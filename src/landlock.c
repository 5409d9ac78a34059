/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Older systems lack the header linux/landlock.h, and newer bits of it, so
 * these are its numbers.
 */
#include "landlock.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

enum {
	CREATE_RULESET = 444,
	ADD_RULE = 445,
	RESTRICT_SELF = 446,
	CREATE_RULESET_VERSION = 1,
	RULE_PATH_BENEATH = 1
};

enum {
	WRITE_FILE = 1 << 1,
	READ_FILE = 1 << 2,
	READ_DIR = 1 << 3,
	REMOVE_FILE = 1 << 5,
	MAKE_REG = 1 << 8,
	TRUNCATE = 1 << 14
};

struct ruleset {
	uint64_t files;
	uint64_t tcp;
	uint64_t scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t dir;
} __attribute__((packed));

/* What each version of the interface can limit, from 1 on; newer do the last */
static const struct {
	struct ruleset limits;
	size_t size; /* of the structure in that version */
} versions[] = {
    {{0x1fff, 0, 0}, 8}, {{0x3fff, 0, 0}, 8},
    {{0x7fff, 0, 0}, 8},  /* truncation */
    {{0x7fff, 3, 0}, 16}, /* binding and connecting TCP sockets */
    {{0xffff, 3, 0}, 16}, /* ioctl(2) of devices */
    {{0xffff, 3, 3}, 24}, /* connecting to abstract names; signals */
};

/* Allow this below a directory, if it is there. */
static void
allow_below(int ruleset, const char *dir, uint64_t what)
{
	struct path_rule rule = {what, open(dir, O_PATH | O_CLOEXEC)};

	if (rule.dir == -1)
		return;
	syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0);
	close(rule.dir);
}

bool
landlock_limit(const char *dir)
{
	const long newest = sizeof(versions) / sizeof(*versions);
	long version = syscall(CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset limits;
	bool done = false;
	int ruleset;

	if (version < 1)
		return (false);
	if (version > newest)
		version = newest;
	limits = versions[version - 1].limits;
	ruleset = (int)syscall(
	    CREATE_RULESET, &limits, versions[version - 1].size, 0);
	if (ruleset == -1)
		return (false);
	if (dir != NULL)
		allow_below(ruleset, dir,
		    (WRITE_FILE | READ_FILE | READ_DIR | REMOVE_FILE |
			MAKE_REG | TRUNCATE) &
			limits.files);
	done = syscall(RESTRICT_SELF, ruleset, 0) == 0;
	close(ruleset);
	return (done);
}
