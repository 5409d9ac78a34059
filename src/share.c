/* SPDX-License-Identifier: BSD-2-Clause */
#include "share.h"

#include <assert.h>

enum {
	DESCRIPTORS_FULL = 1024,
	DESCRIPTORS_KEPT = 32, /* for listeners, the log and the like */
	CONNECTIONS_MAX = 192 + 64 + 192,
	CALLITS_MAX = 192 + 64,
	/* a CALLIT counts for its source and for its group; and share_victim()
	   looks at one that may be new */
	SOURCES_MAX = CONNECTIONS_MAX + 2 * CALLITS_MAX + 1
};

static const struct {
	size_t limit[ORIGINS]; /* with DESCRIPTORS_FULL */
	size_t of_source;
	int64_t idle; /* ms */
} pools[POOLS] = {
    [POOL_CONNECTIONS] =
	{{[ORIGIN_NETWORK] = 192, [ORIGIN_LOOPBACK] = 64, [ORIGIN_LOCAL] = 192},
	    SIZE_MAX, SHARE_IDLE_MS},
    [POOL_CALLITS] = {{[ORIGIN_NETWORK] = 192, [ORIGIN_LOOPBACK] = 64},
	SHARE_CALLITS_OF_SOURCE, SHARE_CALLIT_MS},
};

/* What one source has in a pool; with a port, what calls that service. */
struct source {
	struct peer peer; /* any of its callers */
	enum pool pool;
	in_port_t service;
	size_t count;
	size_t blocked; /* how many of these are blocked */
};

TAILQ_HEAD(members, share);

/* The members are in the order of `active`: the first one is the idlest. */
static struct {
	struct members members[POOLS];
	size_t count[POOLS][ORIGINS];
	size_t limit[POOLS][ORIGINS];
	struct source sources[SOURCES_MAX];
} shares = {
    .members = {TAILQ_HEAD_INITIALIZER(shares.members[0]),
	TAILQ_HEAD_INITIALIZER(shares.members[1])},
};

void
share_limits(int descriptors)
{
	for (size_t pool = 0; pool < POOLS; pool++)
		for (size_t origin = 0; origin < ORIGINS; origin++)
			shares.limit[pool][origin] =
			    pools[pool].limit[origin] *
			    ((size_t)descriptors - DESCRIPTORS_KEPT) /
			    (DESCRIPTORS_FULL - DESCRIPTORS_KEPT);
}

static bool
is_privileged(const struct peer *peer)
{
	return (ntohs(peer->from.sin_port) < PORT_RESERVED);
}

static bool
is_same(const struct peer *a, const struct peer *b)
{
	if (a->origin != b->origin)
		return (false);
	if (a->origin == ORIGIN_LOCAL ||
	    (a->origin == ORIGIN_LOOPBACK &&
		(a->uid != UID_UNKNOWN || b->uid != UID_UNKNOWN)))
		return (a->uid == b->uid);
	if (pmap_is_127(a->from.sin_addr) && pmap_is_127(b->from.sin_addr))
		return (is_privileged(a) == is_privileged(b));
	return (a->from.sin_addr.s_addr == b->from.sin_addr.s_addr);
}

/* Return the source of a caller, which counts nothing if it is new. */
static struct source *
source_of(enum pool pool, const struct peer *peer, in_port_t service)
{
	struct source *unused = NULL;

	for (size_t i = 0; i < SOURCES_MAX; i++) {
		struct source *s = &shares.sources[i];

		if (s->count == 0)
			unused = s;
		else if (s->pool == pool && s->service == service &&
			 is_same(&s->peer, peer))
			return (s);
	}
	assert(unused != NULL); /* each member has at most two */
	*unused = (struct source){*peer, pool, service, 0, 0};
	return (unused);
}

bool
share_is_full(enum pool pool, enum origin origin)
{
	return (shares.count[pool][origin] >= shares.limit[pool][origin]);
}

/* The kernel registers on a local connection of root. */
static bool
is_exempt(const struct source *s)
{
	return (s->peer.origin == ORIGIN_LOCAL && s->peer.uid == UID_ROOT);
}

/* A user with many uids must not displace system accounts, nor the reverse. */
static bool
is_system(const struct source *s)
{
	return (s->peer.origin == ORIGIN_LOCAL && pmap_is_system(s->peer.uid));
}

/* Return true if `s` has more than `other`, in all or for one service. */
static bool
has_more(const struct share *s, const struct share *other)
{
	if (s->source->count != other->source->count)
		return (s->source->count > other->source->count);
	return (s->group->count > other->group->count);
}

/* Return the victim of an origin, or, unless it is NULL, of a source. */
static struct share *
victim_of(enum pool pool, enum origin origin, const struct source *only)
{
	size_t of_class[2] = {0};
	struct share *s, *victim = NULL;

	TAILQ_FOREACH(s, &shares.members[pool], entry)
		if (s->source->peer.origin == origin && !is_exempt(s->source))
			of_class[is_system(s->source)]++;
	TAILQ_FOREACH(s, &shares.members[pool], entry) {
		bool system = is_system(s->source);

		if (s->source->peer.origin == origin && !is_exempt(s->source) &&
		    of_class[system] >= of_class[!system] &&
		    (only == NULL || only == s->source) &&
		    (victim == NULL || has_more(s, victim)))
			victim = s;
	}
	return (victim);
}

struct share *
share_victim(enum pool pool, const struct peer *peer)
{
	const struct source *own = source_of(pool, peer, 0);

	if (own->count >= pools[pool].of_source)
		return (victim_of(pool, peer->origin, own));
	if (share_is_full(pool, peer->origin))
		return (victim_of(pool, peer->origin, NULL));
	return (NULL);
}

void
share_add(struct share *s, enum pool pool, const struct peer *peer,
    in_port_t service, int64_t now)
{
	s->source = source_of(pool, peer, 0);
	s->source->count++;
	s->group = s->source;
	if (service != 0) {
		s->group = source_of(pool, peer, service);
		s->group->count++;
	}
	s->active = now;
	s->blocked = false;
	TAILQ_INSERT_TAIL(&shares.members[pool], s, entry);
	shares.count[pool][peer->origin]++;
}

void
share_remove(struct share *s)
{
	TAILQ_REMOVE(&shares.members[s->source->pool], s, entry);
	shares.count[s->source->pool][s->source->peer.origin]--;
	s->source->count--;
	s->source->blocked -= s->blocked;
	if (s->group != s->source)
		s->group->count--;
}

void
share_touch(struct share *s, bool blocked, int64_t now)
{
	struct members *members = &shares.members[s->source->pool];

	TAILQ_REMOVE(members, s, entry);
	TAILQ_INSERT_TAIL(members, s, entry);
	s->active = now;
	s->source->blocked -= s->blocked;
	s->source->blocked += blocked;
	s->blocked = blocked;
}

struct share *
share_slowest(void)
{
	struct share *s, *slowest = NULL;

	TAILQ_FOREACH(s, &shares.members[POOL_CONNECTIONS], entry)
		if (s->blocked && !is_exempt(s->source) &&
		    (slowest == NULL ||
			s->source->blocked > slowest->source->blocked))
			slowest = s;
	return (slowest);
}

struct share *
share_expired(enum pool pool, int64_t now, int64_t *next)
{
	struct share *s;

	*next = INT64_MAX;
	/* the local socket has no idle timeout: the kernel keeps one open */
	TAILQ_FOREACH(s, &shares.members[pool], entry)
		if (s->blocked || s->source->peer.origin != ORIGIN_LOCAL)
			break;
	if (s == NULL)
		return (NULL);
	*next = s->active + pools[pool].idle;
	return (*next <= now ? s : NULL);
}

size_t
share_count(enum pool pool)
{
	size_t n = 0;

	for (size_t origin = 0; origin < ORIGINS; origin++)
		n += shares.count[pool][origin];
	return (n);
}
