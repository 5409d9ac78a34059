/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Older systems lack the header linux/landlock.h, and newer bits of it, so
 * these are its numbers.
 */
#include "landlock.h"

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

enum {
	CREATE_RULESET = 444,
	RESTRICT_SELF = 446,
	CREATE_RULESET_VERSION = 1
};

struct ruleset {
	uint64_t files;
	uint64_t tcp;
	uint64_t scoped;
};

/* What each version can limit, from 1 on; for newer ones, use the last row. */
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

bool
landlock_limit(void)
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
	done = syscall(RESTRICT_SELF, ruleset, 0) == 0;
	close(ruleset);
	return (done);
}
