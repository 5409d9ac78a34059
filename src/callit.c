/* SPDX-License-Identifier: BSD-2-Clause */
#include "callit.h"

#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "conn.h"
#include "datagram.h"
#include "log.h"
#include "loop.h"
#include "source.h"

/* Limits for 1024 descriptors: other hosts cannot displace loopback callers. */
enum {
	NETWORK_MAX = 192,
	LOOPBACK_MAX = 64,
	PENDING_MAX = NETWORK_MAX + LOOPBACK_MAX,
	PENDING_PER_SOURCE = 32,
	TIMEOUT_MS = 5000,
	DATAGRAMS_PER_ITERATION = 4, /* from one service */
};

struct pending {
	TAILQ_ENTRY(pending) entry;
	struct callit_return caller;
	struct source *source;
	uint32_t prog, vers, proc;
	in_port_t port;
	int fd;
	uint32_t xid; /* of our call */
	int64_t deadline;
};

TAILQ_HEAD(pendings, pending);

static struct pending slots[PENDING_MAX];
static struct pendings free_slots = TAILQ_HEAD_INITIALIZER(free_slots);
static struct pendings in_progress = TAILQ_HEAD_INITIALIZER(in_progress);
static struct source sources[PENDING_MAX];
static size_t count[ORIGINS], limit[ORIGINS];

void
callit_limit(int descriptors)
{
	limit[ORIGIN_NETWORK] = conn_share(NETWORK_MAX, descriptors);
	limit[ORIGIN_LOOPBACK] = conn_share(LOOPBACK_MAX, descriptors);
	for (size_t i = 0; i < PENDING_MAX; i++)
		TAILQ_INSERT_TAIL(&free_slots, &slots[i], entry);
}

void
callit_report(enum callit_outcome outcome, const struct peer *peer,
    uint32_t prog, uint32_t vers, uint32_t proc)
{
	counters.callits[outcome]++;
	log_callit(outcome, peer, prog, vers, proc);
}

static void
finish(struct pending *p, enum callit_outcome outcome)
{
	callit_report(outcome, &p->caller.peer, p->prog, p->vers, p->proc);
	loop_watch(p->fd, NULL, NULL, NULL);
	close(p->fd);
	TAILQ_REMOVE(&in_progress, p, entry);
	TAILQ_INSERT_HEAD(&free_slots, p, entry);
	p->source->count--;
	count[p->caller.peer.origin]--;
}

/* Return the source of this origin that has the most in progress. */
static const struct source *
largest_source(enum origin origin)
{
	const struct source *largest = NULL;
	struct pending *p;

	TAILQ_FOREACH(p, &in_progress, entry)
		if (p->caller.peer.origin == origin &&
		    (largest == NULL || p->source->count > largest->count))
			largest = p->source;
	return (largest);
}

/*
 * Return, of the CALLITs of a source, the oldest one to the service with the
 * most: one that never replies must not displace calls to others.
 */
static struct pending *
victim_of(const struct source *source)
{
	struct pending *own[PENDING_PER_SOURCE], *victim = NULL, *p;
	size_t n = 0, most = 0;

	/* the list begins with the oldest one */
	TAILQ_FOREACH(p, &in_progress, entry)
		if (p->source == source)
			own[n++] = p;
	for (size_t i = 0; i < n; i++) {
		size_t same = 0;

		for (size_t k = 0; k < n; k++)
			same += own[k]->port == own[i]->port;
		if (same > most) {
			most = same;
			victim = own[i];
		}
	}
	return (victim);
}

/*
 * At the limit of this source, drop one of its CALLITs; at the limit of its
 * origin, one of the source with the most.
 */
static void
make_room(const struct peer *peer)
{
	const struct source *source = source_find(sources, PENDING_MAX, peer);
	struct pending *victim;

	if (source == NULL || source->count < PENDING_PER_SOURCE) {
		if (count[peer->origin] < limit[peer->origin])
			return;
		source = largest_source(peer->origin);
	}
	if ((victim = victim_of(source)) != NULL)
		finish(victim, CALLIT_EVICTED);
}

/* Return a socket connected to `to` from an unprivileged port, or -1. */
static int
open_to(const struct sockaddr_in *to)
{
	struct sockaddr_in own = {0};
	socklen_t len = sizeof(own);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return (-1);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
	    ntohs(own.sin_port) >= PORT_RESERVED)
		return (fd);
	close(fd);
	return (-1);
}

static enum callit_outcome
relay(const struct pending *p, const uint8_t *results, size_t len)
{
	static uint8_t bytes[WIRE_RECORD_MAX + WIRE_CALL_MIN];
	size_t room = p->caller.reply_max < sizeof(bytes) ? p->caller.reply_max
							  : sizeof(bytes);

	len = wire_callit_reply(
	    p->caller.xid, p->port, results, len, bytes, room);
	if (len == 0)
		return (CALLIT_TOO_LONG);
	return (datagram_send(p->caller.fd, p->caller.local_addr,
		    &p->caller.peer.from, bytes, len) == 0
		    ? CALLIT_RELAYED
		    : CALLIT_FAILED);
}

static void
on_readable(void *arg)
{
	static uint8_t bytes[WIRE_RECORD_MAX];
	struct pending *p = arg;
	const uint8_t *results;
	size_t len;

	for (int i = 0; i < DATAGRAMS_PER_ITERATION; i++) {
		ssize_t n =
		    recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

		/* go on waiting after an ICMP error, which may be forged */
		if (n == -1)
			return;
		if ((size_t)n > sizeof(bytes)) {
			finish(p, CALLIT_TOO_LONG);
			return;
		}
		switch (wire_reply(bytes, (size_t)n, p->xid, &results, &len)) {
		case REPLY_OTHER:
			continue;
		case REPLY_FAILED:
			finish(p, CALLIT_FAILED);
			return;
		case REPLY_SUCCESS:
			finish(p, relay(p, results, len));
			return;
		}
	}
}

void
callit_start(const struct callit_return *caller, const struct wire_callit *what,
    in_port_t port)
{
	static uint8_t bytes[WIRE_CALL_MIN + WIRE_RECORD_MAX];
	const struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr = caller->local_addr};
	struct pending *p;
	uint32_t xid;
	size_t len;
	int fd;

	make_room(&caller->peer);
	fd = open_to(&to);
	if (fd == -1 || (p = TAILQ_FIRST(&free_slots)) == NULL ||
	    getrandom(&xid, sizeof(xid), 0) != sizeof(xid)) {
		callit_report(CALLIT_FAILED, &caller->peer, what->prog,
		    what->vers, what->proc);
		if (fd != -1)
			close(fd);
		return;
	}
	TAILQ_REMOVE(&free_slots, p, entry);
	TAILQ_INSERT_TAIL(&in_progress, p, entry);
	count[caller->peer.origin]++;
	p->caller = *caller;
	p->source = source_add(sources, PENDING_MAX, &caller->peer);
	p->prog = what->prog;
	p->vers = what->vers;
	p->proc = what->proc;
	p->port = port;
	p->fd = fd;
	p->xid = xid;
	p->deadline = loop_now() + TIMEOUT_MS;
	loop_watch(fd, on_readable, NULL, p);

	len = wire_call(what, xid, bytes);
	if (send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		finish(p, CALLIT_FAILED);
	else
		callit_report(CALLIT_FORWARDED, &caller->peer, what->prog,
		    what->vers, what->proc);
}

int64_t
callit_tick(int64_t now)
{
	struct pending *p;

	while ((p = TAILQ_FIRST(&in_progress)) != NULL) {
		if (p->deadline > now)
			return (p->deadline);
		finish(p, CALLIT_EXPIRED);
	}
	return (INT64_MAX);
}

size_t
callit_count(void)
{
	return (count[ORIGIN_NETWORK] + count[ORIGIN_LOOPBACK]);
}
