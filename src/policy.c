/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy.h"

uid_t
policy_identity(const struct peer *peer, unsigned privileged)
{
	if (peer->origin == ORIGIN_LOCAL)
		return (peer->uid);
	if (peer->origin == ORIGIN_LOOPBACK) {
		unsigned port = ntohs(peer->from.sin_port);

		if (port < PORT_RESERVED && port < privileged)
			return (UID_ROOT);
	}
	return (UID_UNKNOWN);
}

enum verdict
policy_origin(enum origin origin)
{
	return (origin == ORIGIN_NETWORK ? VERDICT_DENY_ORIGIN : VERDICT_OK);
}

static bool
is_reserved(uint32_t port)
{
	return (port < PORT_RESERVED || port == PORT_NFS);
}

bool
policy_must_hold(uid_t who, uint32_t port)
{
	return (who == UID_UNKNOWN || (who != UID_ROOT && is_reserved(port)));
}

/*
 * Services that clients trust by their program number, and that identify their
 * own callers by address.
 */
static bool
is_protected(uint32_t prog)
{
	static const uint32_t protected[] = {
	    100003,    /* nfs */
	    100004,    /* ypserv */
	    100005,    /* mountd */
	    100007,    /* ypbind */
	    100009,    /* yppasswd */
	    100011,    /* rquota */
	    100017,    /* rexd */
	    100021,    /* nlockmgr */
	    100024,    /* status */
	    100028,    /* ypupdated */
	    100069,    /* ypxfrd */
	    100227,    /* nfs_acl */
	    100232,    /* sadmind */
	    100300,    /* nisd */
	    390113,    /* nsrexecd */
	    600100069, /* fypxfrd */
	};

	for (size_t i = 0; i < sizeof(protected) / sizeof(*protected); i++)
		if (prog == protected[i])
			return (true);
	return (false);
}

/* Judge a mapping without regard to other entries. */
static enum verdict
judge_mapping(uid_t who, const struct mapping *want)
{
	if (want->prog == PMAP_PROG)
		return (VERDICT_DENY_SELF);
	if ((want->prot != IPPROTO_TCP && want->prot != IPPROTO_UDP) ||
	    want->port == 0 || want->port > PORT_MAX)
		return (VERDICT_DENY_RANGE);
	if (is_protected(want->prog) && who != UID_ROOT && !pmap_is_system(who))
		return (VERDICT_DENY_PROTECTED);
	if (is_reserved(want->port) && who == UID_UNKNOWN)
		return (VERDICT_DENY_RESERVED);
	return (VERDICT_OK);
}

/* Return `verdict` if the fact is what denies it, VERDICT_OK if it is not. */
static enum verdict
deny_if(enum fact fact, enum fact denies, enum verdict verdict)
{
	if (fact == FACT_UNKNOWN)
		return (VERDICT_DENY_BUSY);
	return (fact == denies ? verdict : VERDICT_OK);
}

/*
 * Judge the replacement of f->same, in a program that nobody else owns.  Its
 * owner may move it if he has no socket on the old port.  An identical entry of
 * another user goes to anyone if it is stale, else to the holder of its port,
 * unless its owner holds that, too.
 */
static enum verdict
replace(uid_t who, const struct mapping *want, const struct facts *f)
{
	const struct mapping *same = f->same;
	enum verdict verdict;

	if (want->port != same->port)
		return (same->owner == who ? deny_if(f->holds_old, FACT_YES,
						 VERDICT_DENY_BOUND)
					   : VERDICT_OK);
	if (same->owner == who)
		return (VERDICT_UNCHANGED);
	if (who == UID_ROOT)
		return (VERDICT_OK);
	if (f->same_in_use == FACT_UNKNOWN)
		return (VERDICT_DENY_BUSY);
	if (f->same_in_use == FACT_NO)
		return (VERDICT_OK);
	verdict = deny_if(f->holds, FACT_NO, VERDICT_DENY_OWNER);
	if (verdict == VERDICT_OK)
		verdict = deny_if(f->owner_holds, FACT_YES, VERDICT_DENY_OWNER);
	return (verdict);
}

/* Return true if `who` may have one more entry, which replaces f->same. */
static bool
within_quota(uid_t who, const struct facts *f)
{
	const struct mapping *same = f->same;
	bool own = same != NULL && same->owner == who;

	if (same == NULL && f->all >= QUOTA_ALL)
		return (false);
	return (who == UID_ROOT || own ||
		(f->of_class < QUOTA_CLASS && f->own < QUOTA_UID));
}

enum verdict
policy_set(uid_t who, const struct mapping *want, const struct facts *f)
{
	enum verdict verdict = judge_mapping(who, want);

	if (verdict == VERDICT_OK && policy_must_hold(who, want->port))
		verdict = deny_if(f->holds, FACT_NO,
		    who == UID_UNKNOWN ? VERDICT_DENY_HOLDER
				       : VERDICT_DENY_RESERVED);
	if (verdict == VERDICT_OK && who != UID_ROOT)
		verdict = deny_if(f->foreign, FACT_YES, VERDICT_DENY_PROGRAM);
	if (verdict == VERDICT_OK && f->same != NULL)
		verdict = replace(who, want, f);
	if (verdict == VERDICT_OK && !within_quota(who, f))
		verdict = VERDICT_DENY_QUOTA;
	return (verdict);
}

enum verdict
policy_unset(uid_t who, const struct mapping *m, enum fact held_by_other)
{
	if (m->prog == PMAP_PROG)
		return (VERDICT_DENY_SELF);
	if (who == UID_ROOT)
		return (VERDICT_OK);
	if (who != m->owner)
		return (VERDICT_DENY_OWNER);
	return (who == UID_UNKNOWN
		    ? deny_if(held_by_other, FACT_YES, VERDICT_DENY_OWNER)
		    : VERDICT_OK);
}

bool
policy_broadcast(struct arrival c)
{
	return (c.own || (c.on_link && !c.martian));
}

bool
policy_callit_caller(enum callit_scope scope, struct arrival c)
{
	if (c.martian || scope == CALLIT_NONE)
		return (false);
	if (c.origin == ORIGIN_LOOPBACK || c.own)
		return (true);
	return (scope == CALLIT_LINK && c.on_link);
}

bool
policy_callit_target(struct arrival c, uint32_t prog, uint32_t proc,
    uint32_t port, uint32_t own_port)
{
	/* what broadcast RPC exists for: procedures from `first` to `last` */
	static const struct {
		uint32_t prog, first, last;
	} allowed[] = {
	    {100001, 0, UINT32_MAX}, /* rstat */
	    {100002, 0, UINT32_MAX}, /* rusers */
	    {100004, 1, 2},          /* ypserv: DOMAIN, DOMAIN_NONACK */
	    {100012, 0, UINT32_MAX}, /* spray */
	    {100026, 1, 2},          /* bootparam: WHOAMI, GETFILE */
	};

	if (prog == PMAP_PROG || port == PMAP_PORT || port == own_port)
		return (false);
	if (proc == 0)
		return (true);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
		if (prog == allowed[i].prog && proc >= allowed[i].first &&
		    proc <= allowed[i].last)
			return (true);
	if (is_protected(prog))
		return (false);
	/* RFC 5531 section 8.3: programs of users, and transient ones */
	return (c.own || (prog >= 0x20000000 && prog <= 0x5fffffff));
}
