/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PRIV_H
#define PRIV_H

#include <stdbool.h>
#include <sys/types.h>

/* Who the daemon becomes once its doors are open. */
struct identity {
	const char *name; /* of the user, for the log */
	uid_t uid;
	gid_t gid;
	bool stay; /* as it was started: uid and gid stay */
};

/*
 * Turn core dumps off and bring the limit of descriptors to what select()
 * and libtirpc can use; before the first xprt_register(), which asks for it
 * once and for all.  Returns the limit.  Fatal when it is below 64.
 */
int priv_limits(void);

/*
 * Find out who to become: `user` (a name or a number) and `group`, which may
 * be NULL for the user's own.  `by_default` says that nobody asked for that
 * user: then who was started by somebody else than root stays what it is.
 * Fatal when there is no such user or group, or no right to become it.
 */
struct identity priv_identity(
    const char *user, const char *group, bool by_default);

/*
 * Become that user, for good: no supplementary groups, no capabilities,
 * no_new_privs.  Asks back, and is fatal when any of it does not hold.
 */
void priv_drop(const struct identity *);

#endif
