/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "pmap.h"

/*
 * Who may do what, as pure functions of their arguments.  Knows no
 * sockets, no table and no clock.
 */

enum {
	QUOTA_ALL = 16384,  /* entries, without our own two */
	QUOTA_CLASS = 1024, /* of all system accounts, and of all other users */
	QUOTA_UID = 256,    /* of one user; anonymous callers are one */
};

/* A fact that only the kernel knows. */
enum fact {
	FACT_NO,
	FACT_YES,
	FACT_UNKNOWN, /* sock_diag failed, or the caller's budget is spent */
};

/*
 * The facts for the verdict on a SET.  The user is the caller's uid; for an
 * anonymous caller, it is the uid of the calling socket.
 */
struct facts {
	const struct mapping *same; /* of that prog, vers, prot; or NULL */
	enum fact holds;            /* the user has a socket on the new port */
	enum fact foreign;          /* another user owns the program */
	enum fact holds_old;        /* the user has a socket on same's port */
	enum fact same_in_use;      /* a socket is bound to same's port */
	enum fact owner_holds;      /* same's owner has a socket on its port */
	size_t all, of_class, own; /* entries: all, the class's, the caller's */
};

/*
 * Return the identity of a caller: the uid on the local socket; UID_ROOT for a
 * privileged source port on loopback, which is one below `privileged` and below
 * 1024; else UID_UNKNOWN.
 */
uid_t policy_identity(const struct peer *, unsigned privileged);

/* Return whether calls of this origin may change the table at all. */
enum verdict policy_origin(enum origin);

/* Return true if `who` must hold this port to register it. */
bool policy_must_hold(uid_t who, uint32_t port);

/* Return the verdict on a SET of `want` by the user `who`. */
enum verdict policy_set(
    uid_t who, const struct mapping *want, const struct facts *);

/*
 * Return the verdict on the removal of this entry by the user `who`.
 * `held_by_other` matters for anonymous callers: another user has a socket on
 * its port.
 */
enum verdict policy_unset(
    uid_t who, const struct mapping *, enum fact held_by_other);

/* Whose CALLITs are forwarded (-c). */
enum callit_scope {
	CALLIT_NONE,
	CALLIT_HOST, /* loopback callers, and this host's own addresses */
	CALLIT_LINK, /* these, and on-link hosts */
};

enum {
	CALLIT_REPLY_MAX = 400 /* bytes of a CALLIT's reply to another host */
};

/* How a call over UDP arrived. */
struct arrival {
	enum origin origin;
	bool own;     /* from an address of this host */
	bool on_link; /* on a network of the receiving interface */
	bool martian; /* to 127.0.0.0/8, but not received on lo */
};

/*
 * Return true if a broadcast or multicast GETPORT of this caller gets a reply.
 * All hosts of a link reply to one datagram, whose source may be forged.
 */
bool policy_broadcast(struct arrival);

/* Return true if this caller's CALLIT is forwarded. */
bool policy_callit_caller(enum callit_scope, struct arrival);

/*
 * Return true if a CALLIT may call this procedure.  Services that could mistake
 * us for the caller are excluded, and so are calls to ourselves: `port` is the
 * port of the service, `own_port` is ours.  Other hosts can only call the
 * procedures for which broadcast RPC is used.
 */
bool policy_callit_target(struct arrival, uint32_t prog, uint32_t proc,
    uint32_t port, uint32_t own_port);

#endif
