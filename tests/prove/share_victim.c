/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * victim_of() never returns a local connection of root.  It returns a member of
 * that origin, and of the class with more: system accounts, or all others.  No
 * source of that class has more members; of a source, no group has more, and no
 * member that has as many is idler.  It returns NULL only if there is no other
 * member than root's.  Of one source it returns a member of the largest group.
 * share_slowest() returns one of the source with the most blocked connections.
 *
 * Bound: three members of up to three sources.
 * Run: --unwind 6
 */
#include "prove.h"

#include "../../src/share.c"

enum {
	MEMBERS = 3
};

/* objects of their own, not elements of an array, are simple for CBMC */
static struct share share0, share1, share2;
static struct share *const all[MEMBERS] = {&share0, &share1, &share2};
static struct source source0, source1, source2;
static struct source *const sources[MEMBERS] = {&source0, &source1, &source2};
static struct source group0, group1, group2;
static struct source *const groups[MEMBERS] = {&group0, &group1, &group2};

enum origin nondet_origin(void);

static bool
spec_exempt(const struct share *s)
{
	return (
	    s->source->peer.origin == ORIGIN_LOCAL && s->source->peer.uid == 0);
}

static bool
spec_system(const struct share *s)
{
	return (s->source->peer.origin == ORIGIN_LOCAL &&
		s->source->peer.uid >= 1 && s->source->peer.uid <= 999);
}

/* Members of any sources and groups, in the order of `active`. */
static void
any_members(void)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		sources[i]->peer.origin = nondet_origin();
		sources[i]->peer.uid = nondet_u32();
		ASSUME(sources[i]->peer.origin < ORIGINS);
	}
	for (size_t i = 0; i < MEMBERS; i++) {
		struct share *s = all[i];
		size_t of = any_size(0, MEMBERS - 1);
		size_t in = any_size(0, MEMBERS - 1);

		s->active = nondet_int64();
		s->blocked = nondet_bool();
		ASSUME(i == 0 || all[i - 1]->active <= s->active);
		for (size_t j = 0; j < MEMBERS; j++) {
			if (j == of) {
				s->source = sources[j];
				sources[j]->count++;
				sources[j]->blocked += s->blocked;
			}
			if (j == in) {
				s->group = groups[j];
				groups[j]->count++;
			}
		}
		/* a group has one source */
		for (size_t j = 0; j < i; j++)
			ASSUME(all[j]->group != s->group ||
			       all[j]->source == s->source);
		s->entry.tqe_next = i + 1 == MEMBERS ? NULL : all[i + 1];
	}
	/* the functions only read the list: no other link is needed */
	shares.members[POOL_CONNECTIONS].tqh_first = all[0];
}

/* What victim_of() must return is no worse than `s`. */
static void
prove_choice(const struct share *victim, const struct share *s)
{
	PROVE(s->source->count <= victim->source->count);
	if (s->source->count < victim->source->count)
		return;
	PROVE(s->group->count <= victim->group->count);
	PROVE(s->group->count < victim->group->count ||
	      victim->active <= s->active);
}

static void
prove_victim(enum origin origin)
{
	const struct share *victim = victim_of(POOL_CONNECTIONS, origin, NULL);
	size_t of_class[2] = {0};

	for (size_t i = 0; i < MEMBERS; i++)
		if (all[i]->source->peer.origin == origin &&
		    !spec_exempt(all[i]))
			of_class[spec_system(all[i])]++;
	PROVE((victim == NULL) == (of_class[0] + of_class[1] == 0));
	if (victim == NULL)
		return;
	PROVE(victim->source->peer.origin == origin && !spec_exempt(victim));
	PROVE(of_class[spec_system(victim)] >= of_class[!spec_system(victim)]);
	for (size_t i = 0; i < MEMBERS; i++)
		if (all[i]->source->peer.origin == origin &&
		    !spec_exempt(all[i]) &&
		    of_class[spec_system(all[i])] >=
			of_class[!spec_system(all[i])])
			prove_choice(victim, all[i]);
	if (spec_system(victim) && of_class[0] == 1)
		REACHED("a system account has more than others");
	if (victim->source->count == 2 && victim->group->count == 1)
		REACHED("a source with two of three");
	if (victim->source->count == 3 && victim->group->count == 2)
		REACHED("a group with two of three");
}

static void
prove_own(void)
{
	const struct source *own = share0.source;
	const struct share *victim =
	    victim_of(POOL_CONNECTIONS, own->peer.origin, own);

	if (victim == NULL)
		return;
	PROVE(victim->source == own && !spec_exempt(victim));
	for (size_t i = 0; i < MEMBERS; i++)
		if (all[i]->source == own)
			prove_choice(victim, all[i]);
	REACHED("one of its own");
}

static void
prove_slowest(void)
{
	const struct share *slowest = share_slowest();

	PROVE(slowest == NULL || (slowest->blocked && !spec_exempt(slowest)));
	for (size_t i = 0; i < MEMBERS; i++) {
		const struct share *s = all[i];

		if (!s->blocked || spec_exempt(s))
			continue;
		PROVE(slowest != NULL);
		PROVE(s->source->blocked <= slowest->source->blocked);
		PROVE(s->source->blocked < slowest->source->blocked ||
		      slowest->active <= s->active);
		REACHED("a slow reader");
	}
}

void
prove(void)
{
	any_members();
	prove_victim(nondet_origin());
	prove_own();
	prove_slowest();
}
