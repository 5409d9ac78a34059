/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place that changes the table.  Knows no RPC: version 2 and version
 * 3 come here with the same question.
 */
#include "registry.h"

#include <rpc/rpc.h>

#include <rpc/pmap_prot.h>

#include "door.h"
#include "journal.h"
#include "log.h"
#include "owner.h"
#include "policy.h"

static struct table *table;
static bool keep_dead;

static uid_t
who_is(const struct peer *peer)
{
	/* only there do privileged ports say anything: do not ask elsewhere */
	return (policy_who(
	    peer, peer->door == DOOR_LOOPBACK ? door_privileged() : 0));
}

/*
 * Judge a SET.  The kernel is asked only when it matters: when it would be
 * granted if the answers were those that the caller hopes for.
 */
static enum why
judge(const struct mapping *want, const struct mapping **same)
{
	uid_t who = want->owner;
	struct facts f = {
	    .same = table_get(table, want->prog, want->vers, want->prot),
	    .bound = BOUND_NO,
	    .program_of_root = table_has_root(table, want->prog),
	    .holder = true,
	    .all = table_count(table) - TABLE_OWN,
	    .others = table_count_others(table),
	    .own = table_count_owner(table, who),
	};
	enum why why = policy_set(who, want, &f);

	*same = f.same;
	if (why != WHY_GRANTED)
		return (why);
	if (f.same != NULL)
		f.bound = keep_dead ? BOUND_UNKNOWN
				    : owner_bound(f.same->prot, f.same->port);
	if (policy_reserved(want->port) && who != OWNER_ROOT)
		f.holder = who != OWNER_NONE &&
			   owner_holds(want->prot, want->port, who);
	return (policy_set(who, want, &f));
}

/* Put it into the table, in the place of `same` if there is one. */
static enum why
put(const struct mapping *want, const struct mapping *same)
{
	struct mapping old = {0};

	if (same != NULL)
		old = *same;
	if (table_put(table, want) == -1)
		return (WHY_MEMORY);
	journal_set(want);
	if (same != NULL)
		log_replaced(&old, want);
	return (WHY_GRANTED);
}

bool
registry_set(const struct peer *peer, struct mapping *want)
{
	const struct mapping *same;
	enum why why;

	want->owner = who_is(peer);
	why = judge(want, &same);
	if (why == WHY_GRANTED)
		why = put(want, same);
	if (why > WHY_SAME)
		log_refused(peer, PMAPPROC_SET, want, why);
	return (why <= WHY_SAME);
}

bool
registry_unset(
    const struct peer *peer, uint32_t prog, uint32_t vers, uint32_t prot)
{
	enum why why = prog == PMAP_PROG ? WHY_SELF : WHY_GRANTED;
	uid_t who = who_is(peer);

	for (size_t i = 0; i < PMAP_PROTS && why == WHY_GRANTED; i++) {
		const struct mapping *m =
		    table_get(table, prog, vers, pmap_prots[i]);

		if (m != NULL && (prot == 0 || prot == pmap_prots[i]))
			why = policy_unset(who, m);
	}
	if (why != WHY_GRANTED)
		return (registry_refuse(peer, why, PMAPPROC_UNSET, prog, vers));
	if (table_remove_all(table, prog, vers, prot))
		journal_unset(prog, vers, prot);
	return (true);
}

bool
registry_refuse(const struct peer *peer, enum why why, uint32_t proc,
    uint32_t prog, uint32_t vers)
{
	const struct mapping asked = {.prog = prog, .vers = vers};

	log_refused(peer, proc, &asked, why);
	return (false);
}

/*
 * Is nothing bound to its port?  Two looks: while the kernel lists its sockets
 * others come and go, and one look can miss one that was there all the time.
 */
static bool
is_dead(const struct owner_survey looks[2], const struct mapping *m)
{
	return (m->prog != PMAP_PROG &&
		owner_survey_bound(&looks[0], m->prot, m->port) == BOUND_NO &&
		owner_survey_bound(&looks[1], m->prot, m->port) == BOUND_NO);
}

void
registry_sweep(void)
{
	static struct owner_survey looks[2];
	const struct mapping *m, *next;

	if (keep_dead || table_count(table) == TABLE_OWN)
		return;
	owner_survey(&looks[0]);
	owner_survey(&looks[1]);
	for (m = table_first(table); m != NULL; m = next) {
		const struct mapping dead = *m;

		next = table_next(m);
		if (!is_dead(looks, m))
			continue;
		table_remove(table, dead.prog, dead.vers, dead.prot);
		journal_unset(dead.prog, dead.vers, dead.prot);
		log_dead(&dead);
	}
}

int
registry_open(struct table *t, in_port_t port, bool keep)
{
	table = t;
	keep_dead = keep;
	for (size_t i = 0; i < TABLE_OWN; i++) {
		const struct mapping own = {.prog = PMAP_PROG,
		    .vers = PMAPVERS,
		    .prot = pmap_prots[i],
		    .port = port,
		    .owner = OWNER_ROOT};

		if (table_put(table, &own) == -1)
			return (-1);
	}
	journal_load(table);
	registry_sweep();
	return (0);
}
