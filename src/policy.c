/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may do what, as pure functions: no sockets, no table, no clock.  All
 * they know is handed to them, so a test can ask anything.
 */
#include "policy.h"

uid_t
policy_who(const struct peer *peer, unsigned privileged)
{
	if (peer->door == DOOR_LOCAL)
		return (peer->uid);
	if (peer->door == DOOR_LOOPBACK) {
		unsigned port = ntohs(peer->from.sin_port);

		if (port < PORT_RESERVED && port < privileged)
			return (OWNER_ROOT);
	}
	return (OWNER_NONE);
}

enum why
policy_door(enum door door)
{
	return (door == DOOR_NETWORK ? WHY_DOOR : WHY_GRANTED);
}

bool
policy_reserved(uint32_t port)
{
	return (port < PORT_RESERVED || port == PORT_NFS);
}

/*
 * May `who` put `want` in the place of `same`?  An entry whose port nothing
 * is bound to is nobody's; root takes over what is not root's; everything
 * else stays while it is, or may be, in use.
 */
static enum why
replace(uid_t who, const struct mapping *want, const struct mapping *same,
    enum bound bound)
{
	if (who == OWNER_ROOT && same->owner != OWNER_ROOT)
		return (WHY_GRANTED);
	if (want->port == same->port)
		return (same->owner == who || bound != BOUND_NO ? WHY_SAME
								: WHY_GRANTED);
	return (bound == BOUND_NO ? WHY_GRANTED : WHY_BOUND);
}

/* Is there room for one more entry of `who`, when `same` makes way for it? */
static bool
within_quota(uid_t who, const struct facts *f)
{
	const struct mapping *same = f->same;

	if (same == NULL && f->all >= QUOTA_ALL)
		return (false);
	if (who == OWNER_ROOT)
		return (true);
	if (same == NULL && f->others >= QUOTA_OTHERS)
		return (false);
	return (who == OWNER_NONE || f->own < QUOTA_UID ||
		(same != NULL && same->owner == who));
}

/* Is this a mapping that anybody could register? */
static enum why
judge_mapping(const struct mapping *want)
{
	if (want->prog == PMAP_PROG)
		return (WHY_SELF);
	if ((want->prot != IPPROTO_TCP && want->prot != IPPROTO_UDP) ||
	    want->port == 0 || want->port > PORT_MAX)
		return (WHY_RANGE);
	return (WHY_GRANTED);
}

enum why
policy_set(uid_t who, const struct mapping *want, const struct facts *f)
{
	enum why why = judge_mapping(want);

	if (why != WHY_GRANTED)
		return (why);
	if (who != OWNER_ROOT) {
		if (policy_reserved(want->port) && !f->holder)
			return (WHY_RESERVED);
		if (f->program_of_root)
			return (WHY_PROGRAM);
	}
	if (f->same != NULL)
		why = replace(who, want, f->same, f->bound);
	if (why == WHY_GRANTED && !within_quota(who, f))
		why = WHY_QUOTA;
	return (why);
}

enum why
policy_unset(uid_t who, const struct mapping *m)
{
	if (m->prog == PMAP_PROG)
		return (WHY_SELF);
	return (who == OWNER_ROOT || who == m->owner ? WHY_GRANTED : WHY_OWNER);
}

bool
policy_callit_caller(enum callit_who who, const struct callit_caller *c)
{
	if (c->smuggled || who == CALLIT_NOBODY)
		return (false);
	if (c->door == DOOR_LOOPBACK || c->own)
		return (true);
	return (who == CALLIT_LINK && c->attached);
}

bool
policy_callit_target(
    uint32_t prog, uint32_t proc, uint32_t port, uint32_t own_port)
{
	/* these tell who is asking by where the call comes from */
	static const uint32_t trusting[] = {
	    100003, /* nfs */
	    100004, /* ypserv */
	    100005, /* mountd */
	    100007, /* ypbind */
	    100009, /* yppasswd */
	    100011, /* rquota */
	    100021, /* nlockmgr */
	    100024, /* status */
	    100069, /* ypxfrd */
	    100227, /* nfs_acl */
	};
	enum {
		YPSERV = 100004,
		YPPROC_DOMAIN = 1,
		YPPROC_DOMAIN_NONACK = 2
	};

	if (prog == PMAP_PROG || port == PMAP_PORT || port == own_port)
		return (false);
	if (proc == 0 || (prog == YPSERV && (proc == YPPROC_DOMAIN ||
						proc == YPPROC_DOMAIN_NONACK)))
		return (true);
	for (size_t i = 0; i < sizeof(trusting) / sizeof(*trusting); i++)
		if (prog == trusting[i])
			return (false);
	return (true);
}
