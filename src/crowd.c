/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is connected, and who has to go.  Decisions only: no sockets, no clock,
 * nothing is closed or allocated here.
 */
#include "crowd.h"

enum {
	DESCRIPTORS_FULL = 1024,
	DESCRIPTORS_KEPT = 32, /* for doors, journal, log and the like */
};

TAILQ_HEAD(members, member);

/* Each list in the order of `active`, so its head is the idlest. */
static struct {
	struct members idle[DOORS];
	struct members owing;
	size_t count[DOORS];
	size_t limit[DOORS];
} crowd = {
    .idle = {TAILQ_HEAD_INITIALIZER(crowd.idle[DOOR_NETWORK]),
	TAILQ_HEAD_INITIALIZER(crowd.idle[DOOR_LOOPBACK]),
	TAILQ_HEAD_INITIALIZER(crowd.idle[DOOR_LOCAL])},
    .owing = TAILQ_HEAD_INITIALIZER(crowd.owing),
};

size_t
crowd_share(size_t full, int descriptors)
{
	return (full * ((size_t)descriptors - DESCRIPTORS_KEPT) /
		(DESCRIPTORS_FULL - DESCRIPTORS_KEPT));
}

void
crowd_limits(int descriptors)
{
	static const size_t full[DOORS] = {192, 64, 192};

	for (size_t door = 0; door < DOORS; door++)
		crowd.limit[door] = crowd_share(full[door], descriptors);
}

bool
crowd_is_full(enum door door)
{
	return (crowd.count[door] >= crowd.limit[door]);
}

static struct members *
list_of(const struct member *m)
{
	return (m->owing ? &crowd.owing : &crowd.idle[m->peer.door]);
}

/* root's at the local door never go for somebody else's sake. */
static bool
is_safe(const struct member *m)
{
	return (m->peer.door == DOOR_LOCAL && m->peer.uid == OWNER_ROOT);
}

static bool
is_privileged(const struct peer *peer)
{
	return (ntohs(peer->from.sin_port) < PORT_RESERVED);
}

static bool
same_source(const struct peer *a, const struct peer *b)
{
	if (a->door != b->door)
		return (false);
	if (a->door == DOOR_LOCAL)
		return (a->uid == b->uid);
	return (pmap_same_source(a->from.sin_addr, b->from.sin_addr) &&
		(!pmap_is_127(a->from.sin_addr) ||
		    is_privileged(a) == is_privileged(b)));
}

/* How many connections of a source owe us reading; how many it has. */
static size_t
owing_of(const struct peer *peer)
{
	const struct member *m;
	size_t n = 0;

	TAILQ_FOREACH(m, &crowd.owing, entry)
		n += same_source(&m->peer, peer);
	return (n);
}

static size_t
held_by(const struct peer *peer)
{
	const struct member *m;
	size_t n = owing_of(peer);

	TAILQ_FOREACH(m, &crowd.idle[peer->door], entry)
		n += same_source(&m->peer, peer);
	return (n);
}

struct member *
crowd_victim(enum door door)
{
	struct members *lists[] = {&crowd.owing, &crowd.idle[door]};
	struct member *m, *victim = NULL;
	size_t n, most = 0;

	for (size_t i = 0; i < 2; i++) {
		TAILQ_FOREACH(m, lists[i], entry) {
			if (m->peer.door != door || is_safe(m))
				continue;
			n = held_by(&m->peer);
			if (victim == NULL || n > most ||
			    (n == most && m->active < victim->active)) {
				most = n;
				victim = m;
			}
		}
	}
	return (victim);
}

void
crowd_join(struct member *m, const struct peer *peer, int64_t now)
{
	m->peer = *peer;
	m->active = now;
	m->owing = false;
	TAILQ_INSERT_TAIL(list_of(m), m, entry);
	crowd.count[peer->door]++;
}

void
crowd_leave(struct member *m)
{
	TAILQ_REMOVE(list_of(m), m, entry);
	crowd.count[m->peer.door]--;
}

void
crowd_owe(struct member *m, bool owing, int64_t now)
{
	TAILQ_REMOVE(list_of(m), m, entry);
	m->owing = owing;
	m->active = now;
	TAILQ_INSERT_TAIL(list_of(m), m, entry);
}

void
crowd_touch(struct member *m, int64_t now)
{
	crowd_owe(m, m->owing, now);
}

struct member *
crowd_debtor(void)
{
	struct member *m, *debtor = NULL;
	size_t n, most = 0;

	TAILQ_FOREACH(m, &crowd.owing, entry) {
		if (is_safe(m) || (n = owing_of(&m->peer)) <= most)
			continue;
		most = n;
		debtor = m;
	}
	return (debtor);
}

struct member *
crowd_overdue(int64_t now, int64_t *next)
{
	/* the local door's are kept: the kernel has one for good */
	struct members *lists[] = {&crowd.owing, &crowd.idle[DOOR_NETWORK],
	    &crowd.idle[DOOR_LOOPBACK]};
	struct member *m;

	*next = INT64_MAX;
	for (size_t i = 0; i < 3; i++) {
		if ((m = TAILQ_FIRST(lists[i])) == NULL)
			continue;
		if (m->active + CROWD_IDLE_MS <= now)
			return (m);
		if (m->active + CROWD_IDLE_MS < *next)
			*next = m->active + CROWD_IDLE_MS;
	}
	return (NULL);
}

struct member *
crowd_any(void)
{
	struct member *m = TAILQ_FIRST(&crowd.owing);

	for (size_t door = 0; m == NULL && door < DOORS; door++)
		m = TAILQ_FIRST(&crowd.idle[door]);
	return (m);
}

size_t
crowd_count(void)
{
	size_t n = 0;

	for (size_t door = 0; door < DOORS; door++)
		n += crowd.count[door];
	return (n);
}
