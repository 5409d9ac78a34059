/* SPDX-License-Identifier: BSD-2-Clause */
#include "registry.h"

#include <rpc/rpc.h>

#include <rpc/pmap_prot.h>

#include "debt.h"
#include "holder.h"
#include "log.h"
#include "loop.h"
#include "peer.h"
#include "policy.h"

enum {
	SWEEP_US = 2000, /* of an iteration, for stale entries */
	SWEEP_WAIT_MS = 20,
	SWEEP_AGAIN_MS = 60000
};

static struct table *table;
static bool keep_stale;
static bool sweep_wanted;

/* Find out who is calling.  Return VERDICT_OK, or why that is not known. */
static enum verdict
identify(struct peer *peer, struct caller *caller)
{
	/* source ports matter on loopback only */
	unsigned privileged =
	    peer->origin == ORIGIN_LOOPBACK ? peer_privileged_ports() : 0;
	enum verdict verdict = policy_identity(peer, privileged, NULL, caller);
	uid_t socket_uid;

	if (verdict != VERDICT_ASK)
		return (verdict);
	socket_uid = debt_identify(peer);
	return (policy_identity(peer, privileged, &socket_uid, caller));
}

/* Find out who uses the port of an entry, for policy_foreign(). */
static struct port_use
use_of(const struct caller *caller, const struct mapping *m)
{
	uid_t witness = policy_witness(caller, m);
	struct port_use use;

	/* what an owner has registered may be in another network namespace */
	if (keep_stale && m->owner != UID_UNKNOWN)
		return ((struct port_use){
		    .known = true, .bound = true, .by_user = true});
	use = holder_glance(caller, m->prot, m->port, witness);
	if (!use.known || policy_foreign(caller, m, &use) == FACT_YES)
		return (use);
	return (holder_search(caller, m->prot, m->port, witness, false));
}

static enum fact
is_foreign(const struct caller *caller, const struct mapping *m)
{
	enum fact fact = policy_foreign(caller, m, NULL);
	struct port_use use;

	if (fact != FACT_OPEN)
		return (fact);
	use = use_of(caller, m);
	return (policy_foreign(caller, m, &use));
}

static enum fact
is_program_foreign(const struct caller *caller, uint32_t prog)
{
	const struct mapping *m;
	enum fact fact = FACT_NO;

	for (m = table_first_of(table, prog); m != NULL && fact == FACT_NO;
	     m = table_next_of(table, m))
		fact = is_foreign(caller, m);
	return (fact);
}

/*
 * Return whether the caller's user has a socket on the port of `m`.  With
 * `also_bound`, a TCP socket need not listen, because servers in Python
 * register before they do.  That search is expensive, and made for root only.
 */
static enum fact
holds(const struct caller *caller, const struct mapping *m, bool also_bound)
{
	uid_t user = caller->user;
	struct port_use use;

	if (user == UID_UNKNOWN)
		return (FACT_NO);
	use = holder_glance(caller, m->prot, m->port, user);
	if (use.known && !use.by_user)
		use = holder_search(caller, m->prot, m->port, user,
		    also_bound && user == UID_ROOT);
	if (!use.known)
		return (FACT_UNKNOWN);
	return (use.by_user ? FACT_YES : FACT_NO);
}

/* Answer a question of policy_set(). */
static enum fact
answer(enum question question, const struct caller *caller,
    const struct mapping *want, const struct mapping *same)
{
	switch (question) {
	case ASK_HOLDS:
		return (holds(caller, want, true));
	case ASK_PROGRAM:
		return (is_program_foreign(caller, want->prog));
	case ASK_HOLDS_OLD:
		return (keep_stale ? FACT_YES : holds(caller, same, false));
	case QUESTIONS:
		break;
	}
	return (FACT_UNKNOWN);
}

/* Judge a SET in place of `same`, or NULL. */
static enum verdict
judge(const struct caller *caller, const struct mapping *want,
    const struct mapping *same)
{
	struct facts f = {.same = same, .all = table_count(table) - TABLE_SELF};
	enum verdict verdict;

	table_tally(table, caller->uid, &f.own, &f.of_class);
	while ((verdict = policy_set(caller, want, &f)) == VERDICT_ASK)
		f.answers[f.question] = answer(f.question, caller, want, same);
	return (verdict);
}

/*
 * Remove all entries of the program that have other owners.  Those of users are
 * not live, or this SET would have been refused; but if their ports were bound
 * again, the program would have two owners.
 */
static void
take_over(const struct mapping *want)
{
	const struct mapping *m, *next;

	for (m = table_first_of(table, want->prog); m != NULL; m = next) {
		next = table_next_of(table, m);
		if (m->owner == want->owner)
			continue;
		log_replaced(m, want);
		table_remove(table, m->prog, m->vers, m->prot);
	}
}

enum verdict
registry_refuse(const struct peer *peer, enum verdict verdict, uint32_t proc,
    const struct mapping *m)
{
	counters.refused[verdict]++;
	log_refused(peer, proc, m, verdict);
	return (verdict);
}

enum verdict
registry_set(struct peer *peer, struct mapping *want)
{
	struct caller caller;
	enum verdict verdict = identify(peer, &caller);
	const struct mapping *same =
	    table_lookup(table, want->prog, want->vers, want->prot);

	want->owner = caller.uid;
	if (verdict == VERDICT_OK)
		verdict = judge(&caller, want, same);
	if (!verdict_is_ok(verdict)) {
		/* stale entries must not keep a program from others */
		sweep_wanted |= verdict == VERDICT_DENY_BUSY;
		return (registry_refuse(peer, verdict, PMAPPROC_SET, want));
	}
	if (verdict == VERDICT_OK) {
		if (same != NULL)
			log_replaced(same, want);
		table_put(table, want);
	}
	/* an unchanged entry of a user was granted without a look at others */
	if (want->owner == UID_ROOT || verdict == VERDICT_OK)
		take_over(want);
	return (verdict);
}

/* Remove an entry if this caller may. */
static enum verdict
unset(const struct caller *caller, const struct mapping *m)
{
	enum verdict verdict = policy_unset(caller, m, NULL);
	struct port_use use;

	if (verdict == VERDICT_ASK) {
		use = use_of(caller, m);
		verdict = policy_unset(caller, m, &use);
	}
	if (verdict == VERDICT_OK)
		table_remove(table, m->prog, m->vers, m->prot);
	return (verdict);
}

/*
 * Remove the entries of a version that the caller may remove: of one protocol,
 * or with 0 of both.
 */
static enum verdict
unset_protocols(
    const struct caller *caller, uint32_t prog, uint32_t vers, uint32_t prot)
{
	enum verdict refused = VERDICT_OK;
	bool removed = false;

	for (size_t i = 0; i < PMAP_PROTS; i++) {
		const struct mapping *m =
		    table_lookup(table, prog, vers, pmap_prots[i]);
		enum verdict verdict;

		if (m == NULL || (prot != 0 && prot != pmap_prots[i]))
			continue;
		verdict = unset(caller, m);
		if (verdict == VERDICT_OK)
			removed = true;
		else
			refused = verdict;
	}
	/* no refusal if one of the two was the caller's */
	return (removed ? VERDICT_OK : refused);
}

enum verdict
registry_unset(struct peer *peer, uint32_t prog, uint32_t vers, uint32_t prot)
{
	const struct mapping unwanted = {
	    .prog = prog, .vers = vers, .prot = prot};
	struct caller caller;
	enum verdict verdict = identify(peer, &caller);

	if (verdict == VERDICT_OK && prog == PMAP_PROG)
		verdict = VERDICT_DENY_SELF;
	if (verdict == VERDICT_OK)
		verdict = unset_protocols(&caller, prog, vers, prot);
	if (verdict != VERDICT_OK)
		registry_refuse(peer, verdict, PMAPPROC_UNSET, &unwanted);
	return (verdict);
}

/*
 * Removal of stale entries: some in each iteration, because each takes a
 * search.
 */

static size_t sweep_at = TABLE_SLOTS; /* the slot to check next */
static bool spare_root;               /* the sweep removes no entries of root */
static bool report_wanted;            /* at the end: HUP asked for it */
static size_t stale; /* removed by it, and by those cut short */

static void
remove_if_stale(const struct mapping *m)
{
	struct port_use use;

	if (m->prog == PMAP_PROG || (spare_root && m->owner == UID_ROOT))
		return;
	use = holder_glance(NULL, m->prot, m->port, UID_UNKNOWN);
	if (use.known && !use.bound)
		use = holder_search(NULL, m->prot, m->port, UID_UNKNOWN, false);
	if (!use.known || use.bound)
		return;
	log_stale(m);
	table_remove(table, m->prog, m->vers, m->prot);
	stale++;
}

static void
report_sweep(void)
{
	if (report_wanted)
		log_swept(stale, table_count(table));
	report_wanted = false;
	stale = 0;
}

/* Check entries, for at most SWEEP_US and while searches are possible. */
static void
sweep_some(void)
{
	int64_t end = loop_clock() + SWEEP_US;
	const struct mapping *m;

	while (sweep_at < TABLE_SLOTS && loop_clock() < end &&
	       !holder_must_wait(NULL))
		if ((m = table_at(table, sweep_at++)) != NULL)
			remove_if_stale(m);
	if (sweep_at == TABLE_SLOTS)
		report_sweep();
}

static void
sweep(bool spare)
{
	bool nothing = keep_stale || table_count(table) == TABLE_SELF;

	spare_root = spare;
	sweep_at = nothing ? TABLE_SLOTS : 0;
	sweep_some();
}

void
registry_sweep(void)
{
	report_wanted = true;
	sweep(false);
}

int64_t
registry_tick(int64_t now)
{
	static int64_t again;

	if (sweep_at < TABLE_SLOTS) {
		sweep_some();
	} else if (sweep_wanted && now >= again) {
		sweep_wanted = false;
		sweep(true); /* a user has caused it */
		again = now + SWEEP_AGAIN_MS;
	}
	if (sweep_at == TABLE_SLOTS)
		return (sweep_wanted ? again : INT64_MAX);
	return (holder_must_wait(NULL) ? now + SWEEP_WAIT_MS : now);
}

/*
 * Return whether to keep an entry of an earlier process, by those rules that
 * need no lookup.
 */
static bool
keep_old(const struct table *t, const struct mapping *m)
{
	/* an entry without an owner can be one of a server of root */
	const struct caller caller = {
	    m->owner, m->owner == UID_UNKNOWN ? UID_ROOT : m->owner};
	struct facts f = {.same = table_lookup(t, m->prog, m->vers, m->prot),
	    .all = table_count(t)};
	enum verdict verdict;

	if (m->prog == PMAP_PROG)
		return (false);
	table_tally(t, m->owner, &f.own, &f.of_class);
	verdict = policy_set(&caller, m, &f);
	if (verdict_is_ok(verdict) || verdict == VERDICT_ASK)
		return (true);
	log_skipped(m, verdict);
	return (false);
}

int
registry_open(struct table *t, in_port_t port, bool keep)
{
	table = t;
	keep_stale = keep;
	if (table_load(table, keep_old) == -1)
		return (-1);
	/* the last one put is the first of a DUMP */
	for (size_t i = PMAP_PROTS; i-- > 0;) {
		const struct mapping self = {.prog = PMAP_PROG,
		    .vers = PMAPVERS,
		    .prot = pmap_prots[i],
		    .port = port,
		    .owner = UID_ROOT};

		table_put(table, &self);
	}
	sweep(false);
	return (0);
}

const struct table *
registry_table(void)
{
	return (table);
}
