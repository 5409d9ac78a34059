/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_set() and policy_must_hold() decide as ACCESS CONTROL in portmap(8)
 * says, whatever the facts are; policy_origin() lets nobody SET from the
 * network.
 *
 * Bound: all callers, mappings, entries and facts.
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

/* The table of identities: does the user hold the port, if he must? */
static enum fact
spec_may_take_port(uid_t who, uint32_t port, enum fact holds)
{
	bool low = port < 1024 || port == 2049;

	if (who == 0)
		return (FACT_YES);
	if (who == UID_UNKNOWN)
		return (low ? FACT_NO : holds);
	return (low ? holds : FACT_YES);
}

/* What may become of the entry that is there?  FACT_YES: it is replaced. */
static enum fact
spec_may_replace(uid_t who, const struct mapping *want, const struct facts *f)
{
	bool own = f->same->owner == who;

	if (f->same->port == want->port) {
		if (who == 0 || own || f->same_in_use == FACT_NO)
			return (FACT_YES);
		if (f->same_in_use == FACT_UNKNOWN || f->holds == FACT_UNKNOWN)
			return (FACT_UNKNOWN);
		if (f->holds == FACT_NO || f->owner_holds == FACT_YES)
			return (FACT_NO);
		return (f->owner_holds == FACT_NO ? FACT_YES : FACT_UNKNOWN);
	}
	/* a live entry of another user makes the program that user's */
	if (!own || f->holds_old == FACT_NO)
		return (FACT_YES);
	return (f->holds_old == FACT_YES ? FACT_NO : FACT_UNKNOWN);
}

static bool
spec_has_room(uid_t who, const struct facts *f)
{
	if (f->same == NULL && f->all >= 16384)
		return (false);
	if (who == 0 || (f->same != NULL && f->same->owner == who))
		return (true);
	return (f->of_class < 1024 && f->own < 256);
}

/* Return whether the SET is granted; FACT_UNKNOWN if the caller must retry. */
static enum fact
spec(uid_t who, const struct mapping *want, const struct facts *f)
{
	enum fact port = spec_may_take_port(who, want->port, f->holds);
	enum fact old =
	    f->same == NULL ? FACT_YES : spec_may_replace(who, want, f);
	bool system = who >= 1 && who <= 999;

	if (want->prog == 100000 || (want->prot != 6 && want->prot != 17) ||
	    want->port == 0 || want->port > 65535)
		return (FACT_NO);
	if (spec_protected(want->prog) && who != 0 && !system)
		return (FACT_NO);
	if (port != FACT_YES)
		return (port);
	if (who != 0 && f->foreign != FACT_NO)
		return (f->foreign == FACT_YES ? FACT_NO : FACT_UNKNOWN);
	if (old != FACT_YES)
		return (old);
	/* an identical mapping of the caller's own changes nothing */
	if (f->same != NULL && f->same->owner == who &&
	    f->same->port == want->port)
		return (FACT_YES);
	return (spec_has_room(who, f) ? FACT_YES : FACT_NO);
}

static enum fact
any_fact(void)
{
	return ((enum fact)any_size(FACT_NO, FACT_UNKNOWN));
}

/* Promises that hold whatever the rest of the table says. */
static void
prove_promises(uid_t who, const struct mapping *want, const struct facts *f)
{
	bool low = want->port < 1024 || want->port == 2049;

	PROVE(want->prog != 100000);
	PROVE(want->port >= 1 && want->port <= 65535);
	PROVE(who != UID_UNKNOWN || !low);
	PROVE(who == 0 || !low || f->holds == FACT_YES);
	PROVE(who == 0 || f->foreign == FACT_NO);
	PROVE(who <= 999 || !spec_protected(want->prog));
}

void
prove(void)
{
	struct mapping want, same;
	struct facts f = {.same = nondet_bool() ? &same : NULL,
	    .holds = any_fact(),
	    .foreign = any_fact(),
	    .holds_old = any_fact(),
	    .same_in_use = any_fact(),
	    .owner_holds = any_fact(),
	    .all = nondet_size(),
	    .of_class = nondet_size(),
	    .own = nondet_size()};
	uid_t who = nondet_u32();
	enum fact granted = spec(who, &want, &f);
	enum verdict verdict = policy_set(who, &want, &f);

	PROVE(verdict_is_ok(verdict) == (granted == FACT_YES));
	PROVE((verdict == VERDICT_DENY_BUSY) == (granted == FACT_UNKNOWN));
	PROVE((verdict == VERDICT_UNCHANGED) ==
	      (granted == FACT_YES && f.same != NULL && same.owner == who &&
		  same.port == want.port));
	PROVE(policy_must_hold(who, want.port) ==
	      (spec_may_take_port(who, want.port, FACT_NO) != FACT_YES));
	PROVE((policy_origin(ORIGIN_NETWORK) == VERDICT_DENY_ORIGIN));
	PROVE(policy_origin(ORIGIN_LOOPBACK) == VERDICT_OK);
	PROVE(policy_origin(ORIGIN_LOCAL) == VERDICT_OK);
	if (verdict_is_ok(verdict)) {
		prove_promises(who, &want, &f);
		if (who == UID_UNKNOWN)
			REACHED("an anonymous SET");
		if (who > 999 && want.port == 2049)
			REACHED("a user holds port 2049");
		if (f.same != NULL && same.owner != who && who > 999 &&
		    f.same_in_use == FACT_YES)
			REACHED("the holder takes an identical mapping");
	}
	if (verdict == VERDICT_DENY_BUSY)
		REACHED("busy");
	if (verdict == VERDICT_DENY_QUOTA && who == 0)
		REACHED("a full table");
	if (verdict == VERDICT_DENY_BOUND)
		REACHED("a second instance");
}
