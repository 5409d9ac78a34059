/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_set() decides as ACCESS CONTROL in portmap(8) says, if each of its
 * questions is answered; what it decides without an answer does not depend on
 * it.  policy_foreign() says which entries are live and of somebody else.
 * policy_origin() lets nobody SET from the network.
 *
 * Bound: all callers, mappings, entries, answers and sockets.
 * Run: src/policy.c --unwind 17
 */
#include "prove.h"
#include "policy.h"

/* portmap(8), ACCESS CONTROL: the protected programs */
static bool
spec_protected(uint32_t prog)
{
	return (prog == 100003 || prog == 100004 || prog == 100005 ||
		prog == 100007 || prog == 100009 || prog == 100011 ||
		prog == 100017 || prog == 100021 || prog == 100024 ||
		prog == 100028 || prog == 100069 || prog == 100227 ||
		prog == 100232 || prog == 100300 || prog == 390113 ||
		prog == 600100069);
}

/* Does the user hold the port, if he must? */
static enum fact
spec_may_take_port(uid_t uid, uint32_t port, enum fact holds)
{
	bool low = port < 1024 || port == 2049;

	if (uid == 0)
		return (FACT_YES);
	if (uid == UID_UNKNOWN)
		return (low ? FACT_NO : holds);
	return (low ? holds : FACT_YES);
}

static bool
spec_has_room(uid_t uid, const struct facts *f)
{
	if (f->same == NULL && f->all >= 16384)
		return (false);
	if (uid == 0 || (f->same != NULL && f->same->owner == uid))
		return (true);
	return (f->of_class < 1024 && f->own < 256);
}

static enum fact
opposite(enum fact fact)
{
	if (fact == FACT_UNKNOWN)
		return (fact);
	return (fact == FACT_YES ? FACT_NO : FACT_YES);
}

/*
 * Return whether the SET is granted; FACT_UNKNOWN if the caller must retry.  Of
 * several answers that are not known or forbid it, the first one counts.
 */
static enum fact
spec(const struct caller *caller, const struct mapping *want,
    const struct facts *f)
{
	uid_t uid = caller->uid;
	bool own = f->same != NULL && f->same->owner == uid;
	bool moves = own && f->same->port != want->port;
	enum fact port =
	    spec_may_take_port(uid, want->port, f->answers[ASK_HOLDS]);

	if (want->prog == 100000 || (want->prot != 6 && want->prot != 17) ||
	    want->port == 0 || want->port > 65535)
		return (FACT_NO);
	if (spec_protected(want->prog) && caller->user > 999)
		return (FACT_NO);
	/* what a user has already is his, whoever holds its port by now */
	if (own && !moves && uid != UID_UNKNOWN)
		return (FACT_YES);
	if (uid == UID_UNKNOWN && (want->port < 1024 || want->port == 2049))
		return (FACT_NO);
	if (!spec_has_room(uid, f))
		return (FACT_NO);
	if (port != FACT_YES)
		return (port);
	if (uid != 0 && f->answers[ASK_PROGRAM] != FACT_NO)
		return (opposite(f->answers[ASK_PROGRAM]));
	/* nobody can keep a user from his own entry */
	return (moves && f->answers[ASK_HOLDS_OLD] == FACT_YES ? FACT_NO
							       : FACT_YES);
}

/* Promises that hold whatever the rest of the table says. */
static void
prove_promises(const struct caller *caller, const struct mapping *want,
    const struct facts *f, bool changes)
{
	bool low = want->port < 1024 || want->port == 2049;

	PROVE(want->prog != 100000);
	PROVE(want->port >= 1 && want->port <= 65535);
	PROVE(caller->uid != UID_UNKNOWN || !low);
	PROVE(caller->uid == 0 || !low || !changes ||
	      f->answers[ASK_HOLDS] == FACT_YES);
	PROVE(
	    caller->uid == 0 || !changes || f->answers[ASK_PROGRAM] == FACT_NO);
	PROVE(caller->user <= 999 || !spec_protected(want->prog));
}

static void
prove_set(void)
{
	struct mapping want, same;
	struct caller caller = {nondet_u32(), nondet_u32()};
	struct facts f = {.same = nondet_bool() ? &same : NULL,
	    .all = nondet_size(),
	    .of_class = nondet_size(),
	    .own = nondet_size()};
	struct facts open;
	enum verdict verdict;
	enum fact granted;

	/* only an anonymous caller's user differs from his identity */
	ASSUME(caller.uid == UID_UNKNOWN || caller.uid == caller.user);
	for (int i = 0; i < QUESTIONS; i++)
		f.answers[i] = (enum fact)any_size(FACT_NO, FACT_UNKNOWN);
	granted = spec(&caller, &want, &f);
	verdict = policy_set(&caller, &want, &f);
	PROVE(verdict_is_ok(verdict) == (granted == FACT_YES));
	PROVE((verdict == VERDICT_DENY_BUSY) == (granted == FACT_UNKNOWN));
	PROVE((verdict == VERDICT_UNCHANGED) ==
	      (granted == FACT_YES && f.same != NULL &&
		  same.owner == caller.uid && same.port == want.port));
	if (verdict_is_ok(verdict)) {
		prove_promises(
		    &caller, &want, &f, verdict != VERDICT_UNCHANGED);
		if (caller.uid == UID_UNKNOWN)
			REACHED("an anonymous SET");
		if (caller.uid > 999 && want.port == 2049)
			REACHED("a user holds port 2049");
		if (f.same != NULL && same.owner != caller.uid &&
		    caller.uid > 999)
			REACHED("an entry that is not live is replaced");
	}
	if (verdict == VERDICT_DENY_BUSY)
		REACHED("busy");
	if (verdict == VERDICT_DENY_QUOTA && caller.uid == 0)
		REACHED("a full table");
	if (verdict == VERDICT_DENY_BOUND)
		REACHED("a second instance");

	/* an answer that was not asked for changes nothing */
	open = f;
	open.answers[any_size(0, QUESTIONS - 1)] = FACT_OPEN;
	if (policy_set(&caller, &want, &open) != VERDICT_ASK) {
		PROVE(policy_set(&caller, &want, &open) == verdict);
		REACHED("a question that was not asked");
	} else {
		PROVE(open.answers[open.question] == FACT_OPEN);
		REACHED("a question");
	}
}

static void
prove_foreign(void)
{
	struct mapping m;
	struct caller caller = {nondet_u32(), nondet_u32()};
	struct port_use use = {.known = true,
	    .bound = nondet_bool(),
	    .by_user = nondet_bool(),
	    .by_root = nondet_bool(),
	    .by_others = nondet_bool()};
	enum fact foreign;

	ASSUME(caller.uid == UID_UNKNOWN || caller.uid == caller.user);
	ASSUME(use.bound == (use.by_user || use.by_others));
	ASSUME(use.bound || !use.by_root);
	foreign = policy_foreign(&caller, &m, &use);
	PROVE(foreign == FACT_YES || foreign == FACT_NO);
	/* a stale entry is nobody's, and one's own is not somebody else's */
	PROVE(use.bound || foreign == FACT_NO);
	PROVE(caller.uid == UID_UNKNOWN || m.owner != caller.uid ||
	      foreign == FACT_NO);
	if (m.owner == caller.uid)
		return;
	if (m.owner == 0 && use.bound)
		PROVE(foreign == FACT_YES);
	if (m.owner != 0 && m.owner != UID_UNKNOWN) {
		PROVE(policy_witness(&caller, &m) == m.owner);
		PROVE((foreign == FACT_YES) == (use.by_user || use.by_root));
		REACHED("an entry of a user");
	}
	if (m.owner == UID_UNKNOWN) {
		PROVE(policy_witness(&caller, &m) == caller.user);
		PROVE((foreign == FACT_YES) ==
		      (use.by_others ||
			  (use.by_user && caller.uid != UID_UNKNOWN)));
		REACHED("an entry without an owner");
	}
	use.known = false;
	PROVE(policy_foreign(&caller, &m, &use) == FACT_UNKNOWN);
}

void
prove(void)
{
	PROVE(policy_origin(ORIGIN_NETWORK) == VERDICT_DENY_ORIGIN);
	PROVE(policy_origin(ORIGIN_LOOPBACK) == VERDICT_OK);
	PROVE(policy_origin(ORIGIN_LOCAL) == VERDICT_OK);
	PROVE(policy_origin(ORIGIN_IPV6) == VERDICT_DENY_ORIGIN);
	prove_set();
	prove_foreign();
}
