/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "pmap.h"

enum {
	QUOTA_ALL = 16384,   /* entries, the mapper's own two not counted */
	QUOTA_OTHERS = 1024, /* of all callers but root together */
	QUOTA_UID = 256,     /* of one uid */
};

/* What a SET is judged by, gathered by the caller. */
struct facts {
	const struct mapping *same; /* of that prog, vers, prot; or NULL */
	enum bound bound;           /* is anything bound to same's port? */
	bool program_of_root;       /* has root any entry of the program? */
	bool holder;                /* is the caller bound to the new port? */
	size_t all, others, own;    /* entries: all, not root's, the caller's */
};

/*
 * Who a caller is to the rules below: the uid at the local door; root for a
 * privileged source port at the loopback door, where privileged means below
 * `privileged` and below 1024; OWNER_NONE for everybody else.
 */
uid_t policy_who(const struct peer *, unsigned privileged);

/* May a call that came in by this door change the table at all? */
enum why policy_door(enum door);

/* Must a caller other than root hold a socket on this port to register it? */
bool policy_reserved(uint32_t port);

/* May `who` register `want`?  WHY_SAME: it is there already. */
enum why policy_set(
    uid_t who, const struct mapping *want, const struct facts *);

/* May `who` remove this entry? */
enum why policy_unset(uid_t who, const struct mapping *);

#endif
