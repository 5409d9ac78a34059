/* SPDX-License-Identifier: BSD-2-Clause */
#include "callit.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "datagram.h"
#include "debt.h"
#include "log.h"
#include "loop.h"
#include "share.h"

enum {
	DATAGRAMS_PER_ITERATION = 4, /* from one service */
};

struct pending {
	struct share share; /* first */
	struct callit_return caller;
	uint32_t prog, vers, proc;
	in_port_t port;
	int fd;
	uint32_t xid; /* of our call */
};

static struct pending *
pending_of(struct share *share)
{
	return ((struct pending *)(void *)share);
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
	share_remove(&p->share);
	free(p);
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

/*
 * Return whose debt a CALLIT adds to: debt.h.  For a caller on this host, it is
 * the uid, but not with what the user owes for other calls: over UDP, the uid
 * is not proven.  Other hosts do not pay; so the service does, whose socket can
 * make the call take long.
 */
static struct peer
payer_of(const struct callit_return *caller, in_port_t service)
{
	struct peer payer = {.origin = caller->peer.origin,
	    .uid = UID_UNKNOWN,
	    .prot = IPPROTO_NONE};

	if (caller->here) {
		payer.uid = caller->peer.uid;
		payer.from.sin_addr.s_addr = payer.uid; /* and port 0 */
	} else {
		payer.from.sin_addr = caller->local_addr;
		payer.from.sin_port = htons(service);
	}
	return (payer);
}

static enum callit_outcome
relay(const struct pending *p, const uint8_t *results, size_t len)
{
	static uint8_t bytes[WIRE_RECORD_MAX + WIRE_CALLIT_HEAD];
	size_t room = p->caller.reply_max < sizeof(bytes) ? p->caller.reply_max
							  : sizeof(bytes);
	struct peer user = payer_of(&p->caller, p->port);
	/* what takes long now is the socket of the caller */
	struct peer *payer = p->caller.here ? &user : NULL;
	int result;

	if (debt_until(payer) != 0) {
		counters.in_debt++;
		return (CALLIT_FAILED);
	}
	len = wire_callit_reply(
	    p->caller.xid, p->port, results, len, bytes, room);
	if (len == 0)
		return (CALLIT_TOO_LONG);
	debt_begin(payer);
	result = datagram_send(p->caller.fd, p->caller.local_addr,
	    &p->caller.peer.from, bytes, len);
	debt_end(payer, 1, len);
	return (result == 0 ? CALLIT_RELAYED : CALLIT_FAILED);
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
	struct peer payer = payer_of(caller, port);
	struct share *victim;
	struct pending *p;
	uint32_t xid;
	ssize_t sent;
	size_t len;
	int fd;

	if (debt_until(&payer) != 0) {
		counters.in_debt++;
		callit_report(CALLIT_FAILED, &caller->peer, what->prog,
		    what->vers, what->proc);
		return;
	}
	p = malloc(sizeof(*p));
	fd = p == NULL ? -1 : open_to(&to);
	if (fd == -1 || getrandom(&xid, sizeof(xid), 0) != sizeof(xid)) {
		callit_report(CALLIT_FAILED, &caller->peer, what->prog,
		    what->vers, what->proc);
		if (fd != -1)
			close(fd);
		free(p);
		return;
	}
	if ((victim = share_victim(POOL_CALLITS, &caller->peer)) != NULL)
		finish(pending_of(victim), CALLIT_EVICTED);
	*p = (struct pending){.caller = *caller,
	    .prog = what->prog,
	    .vers = what->vers,
	    .proc = what->proc,
	    .port = port,
	    .fd = fd,
	    .xid = xid};
	share_add(&p->share, POOL_CALLITS, &caller->peer, port, loop_now());
	loop_watch(fd, on_readable, NULL, p);

	len = wire_call(what, xid, bytes);
	/* the socket of the service may have a filter that takes long */
	debt_begin(&payer);
	sent = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	debt_end(&payer, 1, len);
	if (sent == -1)
		finish(p, CALLIT_FAILED);
	else
		callit_report(CALLIT_FORWARDED, &caller->peer, what->prog,
		    what->vers, what->proc);
}

int64_t
callit_tick(int64_t now)
{
	struct share *late;
	int64_t next;

	while ((late = share_expired(POOL_CALLITS, now, &next)) != NULL)
		finish(pending_of(late), CALLIT_EXPIRED);
	return (next);
}
