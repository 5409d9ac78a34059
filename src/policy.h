/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "pmap.h"

/*
 * Who may do what, as pure functions: they change nothing but their arguments.
 * They know no sockets, no table and no clock.
 */

enum {
	QUOTA_ALL = ENTRIES_MAX,
	QUOTA_CLASS = 1024, /* of all system accounts, and of all other users */
	QUOTA_UID = 256,    /* of one user; anonymous callers are one */
};

/* Who made a call. */
struct caller {
	uid_t uid;  /* decides what is permitted; UID_UNKNOWN: anonymous */
	uid_t user; /* whose sockets count as its own; UID_UNKNOWN: none */
};

/* An answer to what only the kernel knows. */
enum fact {
	FACT_OPEN, /* nobody has asked yet */
	FACT_NO,
	FACT_YES,
	FACT_UNKNOWN, /* sock_diag failed, or searches take too long */
};

/* What matters for the verdict on a SET, and only the kernel knows. */
enum question {
	ASK_HOLDS,     /* the user has a socket on the new port */
	ASK_PROGRAM,   /* another user owns the program */
	ASK_HOLDS_OLD, /* the user has a socket on the port of `same` */
	QUESTIONS
};

/* What is known for the verdict on a SET. */
struct facts {
	const struct mapping *same; /* of that prog, vers, prot; or NULL */
	size_t all, of_class, own; /* entries: all, the class's, the caller's */
	enum fact answers[QUESTIONS];
	enum question question; /* to answer after VERDICT_ASK */
};

/* The sockets that are bound to the port of an entry. */
struct port_use {
	bool known;
	bool bound;   /* by anybody */
	bool by_user; /* by the user who was asked for: holder.h */
	bool by_root;
	bool by_others; /* than that user */
};

/*
 * Find out who is calling.  `privileged` is the number of ports that the kernel
 * reserves for root.  `socket_uid` is that of the calling socket, or
 * UID_UNKNOWN; with NULL, the result is VERDICT_ASK if it matters.  On the
 * local socket, the uid counts.  On loopback, a privileged source port
 * identifies root.  A socket of root's on any other port does not, because a
 * process of root may send what others have given it.
 */
enum verdict policy_identity(const struct peer *, unsigned privileged,
    const uid_t *socket_uid, struct caller *);

/*
 * Return VERDICT_OK if calls of this origin may change the table, otherwise
 * VERDICT_DENY_ORIGIN.
 */
enum verdict policy_origin(enum origin);

/*
 * Return the verdict on a SET.  If it is VERDICT_ASK, answer the question, and
 * call again.  What needs no answer is decided first.
 */
enum verdict policy_set(
    const struct caller *, const struct mapping *want, struct facts *);

/*
 * Return the user whose sockets on the port of the entry `m` matter to this
 * caller, or UID_UNKNOWN if anybody's do.
 */
uid_t policy_witness(const struct caller *, const struct mapping *m);

/*
 * Return whether `m` is a live entry of somebody else, who therefore owns its
 * program: a socket of its owner or of root is bound to its port; for an entry
 * of root or without an owner, any socket.  A caller without an identity also
 * owns the entries without an owner whose port nobody but its user holds.
 * FACT_OPEN if `use` matters, and is NULL.
 */
enum fact policy_foreign(
    const struct caller *, const struct mapping *m, const struct port_use *use);

/*
 * Return the verdict on the removal of the entry `m`: VERDICT_ASK if `use`
 * matters, and is NULL.
 */
enum verdict policy_unset(
    const struct caller *, const struct mapping *m, const struct port_use *use);

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
	bool own;     /* from this host: over lo, or from an address of it */
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
