/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy.h"

enum verdict
policy_identity(const struct peer *peer, unsigned privileged,
    const uid_t *socket_uid, struct caller *caller)
{
	unsigned port = ntohs(peer->from.sin_port);

	*caller = (struct caller){peer->uid, peer->uid};
	if (peer->origin == ORIGIN_LOCAL)
		return (VERDICT_OK);
	if (peer->origin != ORIGIN_LOOPBACK)
		return (policy_origin(peer->origin));
	if (port < PORT_RESERVED && port < privileged) {
		*caller = (struct caller){UID_ROOT, UID_ROOT};
		return (VERDICT_OK);
	}
	if (socket_uid == NULL)
		return (VERDICT_ASK);
	/* over UDP, the owner of the socket that was found need not be the
	   sender, which may share the port, or have closed its socket */
	*caller = (struct caller){UID_UNKNOWN, *socket_uid};
	if (peer->prot == IPPROTO_TCP && *socket_uid == UID_UNKNOWN)
		return (VERDICT_DENY_UNKNOWN);
	if (peer->prot == IPPROTO_TCP && *socket_uid != UID_ROOT)
		caller->uid = *socket_uid;
	return (VERDICT_OK);
}

enum verdict
policy_origin(enum origin origin)
{
	return (origin == ORIGIN_LOOPBACK || origin == ORIGIN_LOCAL
		    ? VERDICT_OK
		    : VERDICT_DENY_ORIGIN);
}

static bool
is_reserved(uint32_t port)
{
	return (port < PORT_RESERVED || port == PORT_NFS);
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

/* Judge a mapping without regard to other entries and to sockets. */
static enum verdict
judge_mapping(const struct caller *caller, const struct mapping *want)
{
	bool trusted = caller->user == UID_ROOT || pmap_is_system(caller->user);

	if (want->prog == PMAP_PROG)
		return (VERDICT_DENY_SELF);
	if ((want->prot != IPPROTO_TCP && want->prot != IPPROTO_UDP) ||
	    want->port == 0 || want->port > PORT_MAX)
		return (VERDICT_DENY_RANGE);
	if (is_protected(want->prog) && !trusted)
		return (VERDICT_DENY_PROTECTED);
	if (is_reserved(want->port) && caller->uid == UID_UNKNOWN)
		return (VERDICT_DENY_RESERVED);
	return (VERDICT_OK);
}

/* Return true if the caller may have one more entry, which replaces `same`. */
static bool
within_quota(uid_t uid, const struct facts *f)
{
	bool own = f->same != NULL && f->same->owner == uid;

	if (f->same == NULL && f->all >= QUOTA_ALL)
		return (false);
	return (uid == UID_ROOT || own ||
		(f->of_class < QUOTA_CLASS && f->own < QUOTA_UID));
}

/* Return `verdict` if the fact is what denies it, VERDICT_OK if it is not. */
static enum verdict
deny_if(enum fact fact, enum fact denies, enum verdict verdict)
{
	if (fact == FACT_OPEN)
		return (VERDICT_ASK);
	if (fact == FACT_UNKNOWN)
		return (VERDICT_DENY_BUSY);
	return (fact == denies ? verdict : VERDICT_OK);
}

static enum verdict
ask(struct facts *f, enum question question, enum fact denies,
    enum verdict verdict)
{
	f->question = question;
	return (deny_if(f->answers[question], denies, verdict));
}

enum verdict
policy_set(
    const struct caller *caller, const struct mapping *want, struct facts *f)
{
	bool anonymous = caller->uid == UID_UNKNOWN;
	bool root = caller->uid == UID_ROOT;
	bool own = f->same != NULL && f->same->owner == caller->uid;
	bool identical = own && f->same->port == want->port;
	enum verdict verdict = judge_mapping(caller, want);

	if (verdict != VERDICT_OK)
		return (verdict);
	if (!within_quota(caller->uid, f))
		return (VERDICT_DENY_QUOTA);
	if (identical && !anonymous)
		return (VERDICT_UNCHANGED);
	if (anonymous)
		verdict = ask(f, ASK_HOLDS, FACT_NO, VERDICT_DENY_HOLDER);
	else if (!root && is_reserved(want->port))
		verdict = ask(f, ASK_HOLDS, FACT_NO, VERDICT_DENY_RESERVED);
	if (verdict == VERDICT_OK && !root)
		verdict = ask(f, ASK_PROGRAM, FACT_YES, VERDICT_DENY_PROGRAM);
	/* if that is not known, no harm is done: the entry is the caller's */
	if (verdict == VERDICT_OK && own && !identical &&
	    f->answers[ASK_HOLDS_OLD] != FACT_UNKNOWN)
		verdict = ask(f, ASK_HOLDS_OLD, FACT_YES, VERDICT_DENY_BOUND);
	if (verdict == VERDICT_OK && identical)
		verdict = VERDICT_UNCHANGED;
	return (verdict);
}

uid_t
policy_witness(const struct caller *caller, const struct mapping *m)
{
	if (m->owner == UID_UNKNOWN)
		return (caller->user);
	return (m->owner == UID_ROOT ? UID_UNKNOWN : m->owner);
}

enum fact
policy_foreign(const struct caller *caller, const struct mapping *m,
    const struct port_use *use)
{
	bool anonymous = caller->uid == UID_UNKNOWN;
	bool live;

	if (m->owner == caller->uid && !anonymous)
		return (FACT_NO);
	if (use == NULL)
		return (FACT_OPEN);
	if (!use->known)
		return (FACT_UNKNOWN);
	if (m->owner == UID_UNKNOWN)
		live = anonymous ? use->by_others : use->bound;
	else if (m->owner == UID_ROOT)
		live = use->bound;
	else
		live = use->by_user || use->by_root;
	return (live ? FACT_YES : FACT_NO);
}

enum verdict
policy_unset(const struct caller *caller, const struct mapping *m,
    const struct port_use *use)
{
	if (m->prog == PMAP_PROG)
		return (VERDICT_DENY_SELF);
	if (caller->uid == UID_ROOT)
		return (VERDICT_OK);
	if (m->owner != caller->uid)
		return (VERDICT_DENY_OWNER);
	return (deny_if(
	    policy_foreign(caller, m, use), FACT_YES, VERDICT_DENY_OWNER));
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
	return (c.own || (scope == CALLIT_LINK && c.on_link));
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
