/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn_victim() never returns a local connection of root.  It returns one of
 * the class with more connections: system accounts, or all others.  No source
 * of that class has more connections, and none with as many is idler.  It
 * returns NULL only if there is no other connection than root's.
 * conn_slowest() does so for blocked connections, without regard to classes.
 *
 * Bound: three connections of up to three sources.
 * Run: --unwind 6
 */
#include "prove.h"

#include "../../src/conn.c"

enum {
	CONNS = 3
};

/* objects of their own, not elements of an array, are simple for CBMC */
static struct conn conn0, conn1, conn2;
static struct conn *const all[CONNS] = {&conn0, &conn1, &conn2};
static struct source source0, source1, source2;
static struct source *const sources[CONNS] = {&source0, &source1, &source2};
static size_t source_of[CONNS];

enum origin nondet_origin(void);

static bool
spec_exempt(const struct conn *c)
{
	return (c->peer.origin == ORIGIN_LOCAL && c->peer.uid == 0);
}

static bool
spec_system(const struct conn *c)
{
	return (c->peer.origin == ORIGIN_LOCAL && c->peer.uid >= 1 &&
		c->peer.uid <= 999);
}

/*
 * The first `blocked` connections are blocked, of any origin; the others are
 * idle ones of `origin`.  Each list is in the order of `active`.
 */
static void
any_connections(enum origin origin, size_t blocked)
{
	for (size_t i = 0; i < CONNS; i++) {
		struct conn *c = all[i];

		source_of[i] = any_size(0, CONNS - 1);
		c->peer.origin = i < blocked ? nondet_origin() : origin;
		c->peer.uid = nondet_u32();
		c->active = nondet_int64();
		c->blocked = i < blocked;
		ASSUME(c->peer.origin < ORIGINS);
		ASSUME(
		    i == 0 || i == blocked || all[i - 1]->active <= c->active);
		for (size_t j = 0; j < CONNS; j++) {
			if (j != source_of[i])
				continue;
			c->source = sources[j];
			sources[j]->count++;
			sources[j]->blocked += c->blocked;
		}
		/* connections of one source have one origin, and one uid */
		for (size_t j = 0; j < i; j++)
			ASSUME(source_of[j] != source_of[i] ||
			       (all[j]->peer.origin == c->peer.origin &&
				   (c->peer.origin != ORIGIN_LOCAL ||
				       all[j]->peer.uid == c->peer.uid)));
		c->entry.tqe_next =
		    i + 1 == blocked || i + 1 == CONNS ? NULL : all[i + 1];
	}
	/* the functions only read the lists: no other link is needed */
	conns.blocked.tqh_first = blocked > 0 ? all[0] : NULL;
	conns.idle[origin].tqh_first = blocked < CONNS ? all[blocked] : NULL;
}

static void
prove_victim(enum origin origin)
{
	const struct conn *victim = conn_victim(origin);
	size_t of_class[2] = {0};

	for (size_t i = 0; i < CONNS; i++)
		if (all[i]->peer.origin == origin && !spec_exempt(all[i]))
			of_class[spec_system(all[i])]++;
	PROVE((victim == NULL) == (of_class[0] + of_class[1] == 0));
	if (victim == NULL)
		return;
	PROVE(victim->peer.origin == origin && !spec_exempt(victim));
	PROVE(of_class[spec_system(victim)] >= of_class[!spec_system(victim)]);
	for (size_t i = 0; i < CONNS; i++) {
		const struct conn *c = all[i];

		if (c->peer.origin != origin || spec_exempt(c) ||
		    of_class[spec_system(c)] < of_class[!spec_system(c)])
			continue;
		PROVE(c->source->count <= victim->source->count);
		PROVE(c->source->count < victim->source->count ||
		      victim->active <= c->active);
	}
	if (spec_system(victim) && of_class[0] == 1)
		REACHED("a system account has more than others");
	if (victim->source->count == 2 && victim->blocked)
		REACHED("a source with two of three");
}

static void
prove_slowest(void)
{
	const struct conn *slowest = conn_slowest();

	PROVE(slowest == NULL || (slowest->blocked && !spec_exempt(slowest)));
	for (size_t i = 0; i < CONNS; i++) {
		const struct conn *c = all[i];

		if (!c->blocked || spec_exempt(c))
			continue;
		PROVE(slowest != NULL);
		PROVE(c->source->blocked <= slowest->source->blocked);
		PROVE(c->source->blocked < slowest->source->blocked ||
		      slowest->active <= c->active);
		REACHED("a slow reader");
	}
}

void
prove(void)
{
	size_t blocked = any_size(0, CONNS);

	/* constants keep the lists simple for CBMC */
	for (size_t i = 0; i <= CONNS; i++) {
		if (i != blocked)
			continue;
		for (enum origin o = 0; o < ORIGINS; o++) {
			if (o + 1 < ORIGINS && nondet_bool())
				continue;
			any_connections(o, i);
			prove_victim(o);
			prove_slowest();
			return;
		}
	}
}
