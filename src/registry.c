/* SPDX-License-Identifier: BSD-2-Clause */
#include "registry.h"

#include <errno.h>
#include <stdlib.h>

#include <rpc/rpc.h>

#include <rpc/pmap_prot.h>

#include "holder.h"
#include "journal.h"
#include "log.h"
#include "loop.h"
#include "peer.h"
#include "policy.h"
#include "sockdiag.h"

enum {
	SWEEP_US = 2000 /* of an iteration, for stale entries */
};

static struct table *table;
static bool keep_stale;
static in_port_t own_port;

static uid_t
identity(const struct peer *peer)
{
	/* source ports matter on loopback only */
	return (policy_identity(peer,
	    peer->origin == ORIGIN_LOOPBACK ? peer_privileged_ports() : 0));
}

/* Whose socket made the call; UID_UNKNOWN if that is not known. */
static uid_t
user_of(const struct peer *peer, uid_t who)
{
	uid_t uid;

	if (who != UID_UNKNOWN)
		return (who);
	/* sock_diag never makes a caller root */
	return (sockdiag_caller(peer->prot, &peer->from, own_port, &uid) &&
			uid != UID_ROOT
		    ? uid
		    : UID_UNKNOWN);
}

static enum fact
is_in_use(const struct mapping *m, uid_t who)
{
	return (keep_stale ? FACT_YES : holder_in_use(who, m->prot, m->port));
}

/* Return whether this entry makes its owner, not the user, own the program. */
static enum fact
is_foreign(const struct mapping *m, uid_t who, uid_t user)
{
	if (m->owner != who)
		return (is_in_use(m, who));
	if (who != UID_UNKNOWN)
		return (FACT_NO);
	return (holder_is_other(who, m->prot, m->port, user));
}

/*
 * Return whether another user owns the program of `want`.  An identical mapping
 * does not count: policy_set() gives it to the holder of the port.
 */
static enum fact
is_program_foreign(
    const struct mapping *want, const struct mapping *same, uid_t user)
{
	const struct mapping *m;
	enum fact fact = FACT_NO;

	for (m = table_first_of(table, want->prog);
	     m != NULL && fact == FACT_NO; m = table_next_of(table, m))
		if (m != same || m->port != want->port)
			fact = is_foreign(m, want->owner, user);
	return (fact);
}

/* Return true if facts about sockets can change this verdict. */
static bool
needs_facts(enum verdict verdict, uid_t who, const struct mapping *same)
{
	if (who == UID_ROOT) /* does it still hold its old port? */
		return (verdict == VERDICT_OK && same != NULL &&
			same->owner == UID_ROOT);
	/* an anonymous caller must hold the port also of an identical entry */
	return (verdict == VERDICT_OK ||
		(verdict == VERDICT_UNCHANGED && who == UID_UNKNOWN));
}

/*
 * Judge a SET in place of `same`, or NULL.  Query sock_diag only if its most
 * favourable results would grant it, and only for facts that matter.
 */
static enum verdict
judge(const struct peer *peer, const struct mapping *want,
    const struct mapping *same)
{
	uid_t user, who = want->owner;
	/* the most favourable: FACT_NO, but for .holds */
	struct facts f = {
	    .same = same,
	    .holds = FACT_YES,
	    .all = table_count(table) - TABLE_SELF,
	    .of_class = table_count_class(table, who),
	    .own = table_count_owner(table, who),
	};
	bool identical = same != NULL && same->port == want->port;
	bool contested = identical && same->owner != who;
	enum verdict verdict = policy_set(who, want, &f);

	if (!needs_facts(verdict, who, same))
		return (verdict);
	user = user_of(peer, who);
	if (policy_must_hold(who, want->port) || contested)
		f.holds = holder_is(who, want->prot, want->port, user);
	if (who != UID_ROOT)
		f.foreign = is_program_foreign(want, same, user);
	if (contested) {
		f.same_in_use = is_in_use(same, who);
		f.owner_holds =
		    holder_is(who, same->prot, same->port, same->owner);
	}
	if (same != NULL && !identical && same->owner == who)
		f.holds_old =
		    keep_stale ? FACT_YES
			       : holder_is(who, same->prot, same->port, user);
	return (policy_set(who, want, &f));
}

/* Remove all entries of the program that are not root's. */
static void
take_over(const struct mapping *want)
{
	const struct mapping *m, *next;

	for (m = table_first_of(table, want->prog); m != NULL; m = next) {
		const struct mapping old = *m;

		next = table_next_of(table, m);
		if (old.owner == UID_ROOT)
			continue;
		table_remove(table, old.prog, old.vers, old.prot);
		journal_unset(old.prog, old.vers, old.prot);
		log_replaced(&old, want);
	}
}

/* Put `want` into the table, in place of `same` if there is one. */
static enum verdict
put(const struct mapping *want, const struct mapping *same)
{
	struct mapping old = {0};
	bool replaces = same != NULL;

	if (replaces)
		old = *same;
	if (table_put(table, want) == -1)
		return (VERDICT_DENY_MEMORY);
	journal_set(want);
	if (replaces)
		log_replaced(&old, want);
	return (VERDICT_OK);
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
registry_set(const struct peer *peer, struct mapping *want)
{
	enum verdict verdict = policy_origin(peer->origin);
	const struct mapping *same =
	    table_lookup(table, want->prog, want->vers, want->prot);

	holder_begin();
	want->owner = identity(peer);
	if (verdict == VERDICT_OK)
		verdict = judge(peer, want, same);
	if (verdict == VERDICT_OK)
		verdict = put(want, same);
	if (!verdict_is_ok(verdict))
		return (registry_refuse(peer, verdict, PMAPPROC_SET, want));
	if (want->owner == UID_ROOT)
		take_over(want);
	return (verdict);
}

static enum verdict
judge_unset(const struct peer *peer, uid_t who, const struct mapping *m)
{
	enum fact held_by_other = FACT_NO;
	enum verdict verdict = policy_unset(who, m, held_by_other);

	if (verdict != VERDICT_OK || who != UID_UNKNOWN)
		return (verdict);
	held_by_other =
	    holder_is_other(who, m->prot, m->port, user_of(peer, who));
	return (policy_unset(who, m, held_by_other));
}

enum verdict
registry_unset(
    const struct peer *peer, uint32_t prog, uint32_t vers, uint32_t prot)
{
	const struct mapping unwanted = {
	    .prog = prog, .vers = vers, .prot = prot};
	enum verdict verdict = policy_origin(peer->origin);
	uid_t who = identity(peer);

	holder_begin();
	if (verdict == VERDICT_OK && prog == PMAP_PROG)
		verdict = VERDICT_DENY_SELF;
	for (size_t i = 0; i < PMAP_PROTS && verdict == VERDICT_OK; i++) {
		const struct mapping *m =
		    table_lookup(table, prog, vers, pmap_prots[i]);

		if (m != NULL && (prot == 0 || prot == pmap_prots[i]))
			verdict = judge_unset(peer, who, m);
	}
	if (verdict != VERDICT_OK)
		return (
		    registry_refuse(peer, verdict, PMAPPROC_UNSET, &unwanted));
	if (table_remove_all(table, prog, vers, prot))
		journal_unset(prog, vers, prot);
	return (VERDICT_OK);
}

/*
 * Removal of stale entries: some in each iteration, because a dump for one that
 * no exact lookup finds costs up to 10 ms with many sockets.
 */

static struct {
	struct mapping *candidates;
	size_t count, done;
} sweep;

static void
remove_if_stale(const struct mapping *candidate)
{
	const struct mapping *m = table_lookup(
	    table, candidate->prog, candidate->vers, candidate->prot);

	if (m == NULL || m->port != candidate->port ||
	    holder_in_use(UID_ROOT, m->prot, m->port) != FACT_NO)
		return;
	table_remove(table, candidate->prog, candidate->vers, candidate->prot);
	journal_unset(candidate->prog, candidate->vers, candidate->prot);
	log_stale(candidate);
}

/* Check candidates for at most `us` microseconds. */
static void
sweep_some(int64_t us)
{
	int64_t end = loop_clock() + us;

	while (sweep.done < sweep.count && loop_clock() < end)
		remove_if_stale(&sweep.candidates[sweep.done++]);
	if (sweep.done < sweep.count)
		return;
	free(sweep.candidates);
	sweep.candidates = NULL;
	sweep.count = sweep.done = 0;
}

void
registry_sweep(void)
{
	if (keep_stale || table_count(table) == TABLE_SELF)
		return;
	free(sweep.candidates); /* of a sweep that is not finished */
	sweep.count = sweep.done = 0;
	sweep.candidates =
	    calloc(table_count(table), sizeof(*sweep.candidates));
	if (sweep.candidates == NULL) {
		log_error("sweep", ENOMEM);
		return;
	}
	for (const struct mapping *m = table_first(table); m != NULL;
	     m = table_next(m))
		if (m->prog != PMAP_PROG)
			sweep.candidates[sweep.count++] = *m;
	sweep_some(SWEEP_US);
}

int64_t
registry_tick(int64_t now)
{
	if (sweep.count > 0)
		sweep_some(SWEEP_US);
	return (sweep.count > 0 ? now : INT64_MAX);
}

int
registry_open(struct table *t, in_port_t port, bool keep)
{
	table = t;
	keep_stale = keep;
	own_port = port;
	for (size_t i = 0; i < PMAP_PROTS; i++) {
		const struct mapping self = {.prog = PMAP_PROG,
		    .vers = PMAPVERS,
		    .prot = pmap_prots[i],
		    .port = port,
		    .owner = UID_ROOT};

		if (table_put(table, &self) == -1)
			return (-1);
	}
	journal_load(table);
	registry_sweep();
	return (0);
}
