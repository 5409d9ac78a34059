/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PRIV_H
#define PRIV_H

#include <stdbool.h>
#include <sys/types.h>

/* The user that the daemon becomes once its sockets are open. */
struct identity {
	const char *name; /* of the user, for the log */
	uid_t uid;
	gid_t gid;
	bool stay; /* uid and gid are those of the process already */
};

/*
 * Disable core dumps, and set the limit of descriptors to what select() and
 * libtirpc can use: before the first xprt_register(), which reads it once.
 * Return the limit.  It is fatal if that is below 64.
 */
int priv_limits(void);

/*
 * Return the identity of `user` (a name or a number) and `group`; NULL stands
 * for the user's own group.  With `by_default`, a process that root did not
 * start keeps its identity.  It is fatal if there is no such user or group, or
 * no permission to become it.
 */
struct identity priv_identity(
    const char *user, const char *group, bool by_default);

/*
 * Become that user permanently, without capabilities, supplementary groups (a
 * process that keeps its uid and gid may keep them), or a way to new
 * privileges.  Verify all of that with the kernel; any failure is fatal.
 */
void priv_drop(const struct identity *);

#endif
