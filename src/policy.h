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

/* Whose CALLITs are served (-c). */
enum callit_who {
	CALLIT_NOBODY,
	CALLIT_HOST, /* the loopback door, and this host's own addresses */
	CALLIT_LINK, /* and those on a directly attached network */
};

enum {
	/* The longest answer to a CALLIT at the network door, in bytes. */
	CALLIT_ANSWER_MAX = 400
};

/* Where a CALLIT came from, and how. */
struct callit_caller {
	enum door door;
	bool own;      /* from this very host */
	bool attached; /* on-link at the interface that it came in by */
	bool smuggled; /* to 127.0.0.0/8, but not in by lo */
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

/* Is this caller's CALLIT served? */
bool policy_callit_caller(enum callit_who, const struct callit_caller *);

/*
 * May this procedure be called for somebody else?  Not where a service could
 * take us for the caller and that would matter, nor may calls come back to
 * us: `port` is where the service is registered, `own_port` is ours.
 */
bool policy_callit_target(
    uint32_t prog, uint32_t proc, uint32_t port, uint32_t own_port);

/* May `who` remove this entry? */
enum why policy_unset(uid_t who, const struct mapping *);

#endif
