/* SPDX-License-Identifier: BSD-2-Clause */
#include "conn.h"

enum {
	DESCRIPTORS_FULL = 1024,
	DESCRIPTORS_KEPT = 32, /* for listeners, the log and the like */
};

/* Limits for 1024 descriptors. */
enum {
	NETWORK_MAX = 192,
	LOOPBACK_MAX = 64,
	LOCAL_MAX = 192,
	CONNS_MAX = NETWORK_MAX + LOOPBACK_MAX + LOCAL_MAX
};
static const size_t limits[ORIGINS] = {NETWORK_MAX, LOOPBACK_MAX, LOCAL_MAX};

TAILQ_HEAD(conns, conn);

/* Each list is in the order of `active`, so its head is the idlest. */
static struct {
	struct conns idle[ORIGINS];
	struct conns blocked;
	size_t count[ORIGINS];
	size_t limit[ORIGINS];
	struct source sources[CONNS_MAX];
} conns = {
    .idle = {TAILQ_HEAD_INITIALIZER(conns.idle[ORIGIN_NETWORK]),
	TAILQ_HEAD_INITIALIZER(conns.idle[ORIGIN_LOOPBACK]),
	TAILQ_HEAD_INITIALIZER(conns.idle[ORIGIN_LOCAL])},
    .blocked = TAILQ_HEAD_INITIALIZER(conns.blocked),
};

size_t
conn_share(size_t full, int descriptors)
{
	return (full * ((size_t)descriptors - DESCRIPTORS_KEPT) /
		(DESCRIPTORS_FULL - DESCRIPTORS_KEPT));
}

void
conn_limits(int descriptors)
{
	for (size_t origin = 0; origin < ORIGINS; origin++)
		conns.limit[origin] = conn_share(limits[origin], descriptors);
}

bool
conn_is_full(enum origin origin)
{
	return (conns.count[origin] >= conns.limit[origin]);
}

static struct conns *
list_of(const struct conn *c)
{
	return (c->blocked ? &conns.blocked : &conns.idle[c->peer.origin]);
}

/* The kernel registers on a local connection of root. */
static bool
is_exempt(const struct conn *c)
{
	return (c->peer.origin == ORIGIN_LOCAL && c->peer.uid == UID_ROOT);
}

/* A user with many uids must not displace system accounts, nor the reverse. */
static bool
is_system(const struct conn *c)
{
	return (c->peer.origin == ORIGIN_LOCAL && pmap_is_system(c->peer.uid));
}

struct conn *
conn_victim(enum origin origin)
{
	struct conns *lists[] = {&conns.blocked, &conns.idle[origin]};
	struct conn *c, *victim = NULL;
	size_t of_class[2] = {0};

	for (size_t i = 0; i < 2; i++)
		TAILQ_FOREACH(c, lists[i], entry)
			if (c->peer.origin == origin && !is_exempt(c))
				of_class[is_system(c)]++;
	for (size_t i = 0; i < 2; i++) {
		TAILQ_FOREACH(c, lists[i], entry) {
			if (c->peer.origin != origin || is_exempt(c) ||
			    of_class[is_system(c)] < of_class[!is_system(c)])
				continue;
			if (victim == NULL ||
			    c->source->count > victim->source->count ||
			    (c->source->count == victim->source->count &&
				c->active < victim->active))
				victim = c;
		}
	}
	return (victim);
}

void
conn_add(struct conn *c, const struct peer *peer, int64_t now)
{
	c->peer = *peer;
	c->source = source_add(conns.sources, CONNS_MAX, peer);
	c->active = now;
	c->blocked = false;
	TAILQ_INSERT_TAIL(list_of(c), c, entry);
	conns.count[peer->origin]++;
}

void
conn_remove(struct conn *c)
{
	TAILQ_REMOVE(list_of(c), c, entry);
	conns.count[c->peer.origin]--;
	c->source->count--;
	c->source->blocked -= c->blocked;
}

void
conn_set_blocked(struct conn *c, bool blocked, int64_t now)
{
	TAILQ_REMOVE(list_of(c), c, entry);
	c->source->blocked -= c->blocked;
	c->source->blocked += blocked;
	c->blocked = blocked;
	c->active = now;
	TAILQ_INSERT_TAIL(list_of(c), c, entry);
}

void
conn_touch(struct conn *c, int64_t now)
{
	conn_set_blocked(c, c->blocked, now);
}

struct conn *
conn_slowest(void)
{
	struct conn *c, *slowest = NULL;

	/* the list is in the order of `active` */
	TAILQ_FOREACH(c, &conns.blocked, entry)
		if (!is_exempt(c) &&
		    (slowest == NULL ||
			c->source->blocked > slowest->source->blocked))
			slowest = c;
	return (slowest);
}

struct conn *
conn_expired(int64_t now, int64_t *next)
{
	/* the local socket has no idle timeout: the kernel keeps one open */
	struct conns *lists[] = {&conns.blocked, &conns.idle[ORIGIN_NETWORK],
	    &conns.idle[ORIGIN_LOOPBACK]};
	struct conn *c;

	*next = INT64_MAX;
	for (size_t i = 0; i < 3; i++) {
		if ((c = TAILQ_FIRST(lists[i])) == NULL)
			continue;
		if (c->active + CONN_IDLE_MS <= now)
			return (c);
		if (c->active + CONN_IDLE_MS < *next)
			*next = c->active + CONN_IDLE_MS;
	}
	return (NULL);
}

size_t
conn_count(void)
{
	size_t n = 0;

	for (size_t origin = 0; origin < ORIGINS; origin++)
		n += conns.count[origin];
	return (n);
}
