/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections under libtirpc's svc layer.  A turn of one is: read once,
 * answer the calls that are there into transport_answers, write once.  What
 * the client does not take at once is kept, and until it has taken that we
 * read no more from it.  Nothing here waits, and a connection has memory only
 * for what it sent and has not read.
 */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "crowd.h"
#include "guard.h"
#include "log.h"
#include "loop.h"
#include "record.h"
#include "stats.h"
#include "transport.h"
#include "wire.h"

enum {
	INPUT = 16384,              /* bytes read from one connection a turn */
	OWED_MAX = 4 * 1024 * 1024, /* of all connections together */
	MARK = 4,                   /* a record mark, RFC 5531 section 11 */
};

struct stream {
	struct transport t; /* first */
	struct member member;
	struct record record;
	uint8_t *unread; /* bytes read that have to wait for their turn */
	size_t unread_len;
	uint8_t *owed; /* answers that the client has not taken */
	size_t owed_len, owed_done;
	bool ended; /* nothing more will come */
	bool dead;  /* to be destroyed */
};

static struct stream *by_fd[FD_SETSIZE];
static size_t owed_total;

/* The input, and the answers, of the connection whose turn it is. */
static struct {
	uint8_t bytes[INPUT];
	size_t len, at;
} in;
static size_t out_used; /* of transport_answers */

static struct stream *
stream_of(SVCXPRT *xprt)
{
	return ((struct stream *)(void *)xprt);
}

static struct stream *
stream_with(struct member *m)
{
	return ((struct stream *)(void *)((char *)m -
					  offsetof(struct stream, member)));
}

/* Close our copy of the connection, and forget it. */
static void
release(struct stream *s)
{
	int fd = s->t.xprt.xp_fd;

	crowd_leave(&s->member);
	loop_watch(fd, NULL, NULL);
	transport_unregister(&s->t);
	by_fd[fd] = NULL;
	guard_begin(&s->member.peer);
	close(fd);
	guard_end(&s->member.peer);
	owed_total -= s->owed_len;
	record_reset(&s->record);
	free(s->unread);
	free(s->owed);
	free(s);
}

/* End the connection, also where the service manager holds a copy. */
static void
stream_destroy(SVCXPRT *xprt)
{
	struct stream *s = stream_of(xprt);

	if (s->member.peer.door == DOOR_LOCAL &&
	    s->member.peer.uid == OWNER_ROOT)
		shutdown(xprt->xp_fd, SHUT_RDWR);
	release(s);
}

/*
 * What the client does not take.
 */

/* Send what can be sent now; how much that was, or -1: it is over. */
static ssize_t
send_now(int fd, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		n = 0;
	return (n);
}

/* Something has arrived: have it served, if not just now. */
static void
take_turn(int fd)
{
	if (loop_is_late())
		loop_again(fd);
	else
		svc_getreq_common(fd);
}

/* The client has taken it all: go on reading, it may have sent more. */
static void
settle(struct stream *s)
{
	int fd = s->t.xprt.xp_fd;

	owed_total -= s->owed_len;
	free(s->owed);
	s->owed = NULL;
	s->owed_len = s->owed_done = 0;
	crowd_owe(&s->member, false, loop_now());
	loop_watch(fd, take_turn, NULL);
	loop_again(fd);
}

/* The client has room again. */
static void
pay(int fd)
{
	struct stream *s = by_fd[fd];
	ssize_t n;

	n = send_now(fd, s->owed + s->owed_done, s->owed_len - s->owed_done);
	if (n == -1) {
		stream_destroy(&s->t.xprt);
		return;
	}
	s->owed_done += (size_t)n;
	if (s->owed_done == s->owed_len)
		settle(s);
}

/* Keep what the client did not take; who owes longest goes if need be. */
static void
owe(struct stream *s, const uint8_t *bytes, size_t len)
{
	struct member *debtor;

	while (
	    owed_total + len > OWED_MAX && (debtor = crowd_debtor()) != NULL) {
		log_evicted(&debtor->peer);
		stream_destroy(&stream_with(debtor)->t.xprt);
	}
	if ((s->owed = malloc(len)) == NULL) {
		s->dead = true;
		return;
	}
	memcpy(s->owed, bytes, len);
	s->owed_len = len;
	s->owed_done = 0;
	owed_total += len;
	crowd_owe(&s->member, true, loop_now());
	loop_watch(s->t.xprt.xp_fd, NULL, pay);
}

/* Send the answers of this turn. */
static void
send_answers(struct stream *s)
{
	size_t len = out_used;
	ssize_t n;

	out_used = 0;
	if (len == 0)
		return;
	n = send_now(s->t.xprt.xp_fd, transport_answers, len);
	if (n == -1)
		s->dead = true;
	else if ((size_t)n < len)
		owe(s, transport_answers + n, len - (size_t)n);
}

/*
 * A turn, driven by svc_getreq_common().
 */

/* Get the turn's input: what had to wait, else what has arrived. */
static void
fill_input(struct stream *s)
{
	ssize_t n;

	in.at = 0;
	in.len = s->unread_len;
	if (s->unread != NULL) {
		memcpy(in.bytes, s->unread, s->unread_len);
		free(s->unread);
		s->unread = NULL;
		s->unread_len = 0;
		return;
	}
	guard_begin(&s->member.peer);
	do {
		n = recv(
		    s->t.xprt.xp_fd, in.bytes, sizeof(in.bytes), MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	guard_end(&s->member.peer);
	if (n > 0)
		in.len = (size_t)n;
	else if (n == 0)
		s->ended = true;
	else if (errno != EAGAIN)
		s->dead = true;
}

static bool_t
stream_recv(SVCXPRT *xprt, struct rpc_msg *msg)
{
	struct stream *s = stream_of(xprt);
	const uint8_t *body;
	size_t used, len;

	if (in.at == in.len)
		fill_input(s);
	if (in.at == in.len)
		return (FALSE);
	switch (record_feed(&s->record, WIRE_RECORD_MAX, in.bytes + in.at,
	    in.len - in.at, &used, &body, &len)) {
	case RECORD_MORE:
		in.at = in.len;
		return (FALSE);
	case RECORD_BAD:
		log_dropped(&s->member.peer, "record");
		s->dead = true;
		return (FALSE);
	case RECORD_WHOLE:
		break;
	}
	in.at += used;
	crowd_touch(&s->member, loop_now());
	switch (transport_decode(&s->t, body, len, msg)) {
	case CALL_TAKEN:
		return (TRUE);
	case CALL_ANSWERED:
		return (FALSE);
	case CALL_GARBAGE:
		break;
	}
	s->dead = true;
	return (FALSE);
}

/* Keep the input that this turn did not get to. */
static void
save_input(struct stream *s)
{
	size_t len = in.len - in.at;

	if (len == 0 || s->dead)
		return;
	if ((s->unread = malloc(len)) == NULL) {
		s->dead = true;
		return;
	}
	memcpy(s->unread, in.bytes + in.at, len);
	s->unread_len = len;
	if (s->owed == NULL)
		loop_again(s->t.xprt.xp_fd);
}

static enum xprt_stat
stream_stat(SVCXPRT *xprt)
{
	struct stream *s = stream_of(xprt);

	/* after a change others have their turn: it may have cost much */
	if (!s->dead && !s->t.hurry && in.at < in.len &&
	    out_used < TRANSPORT_BATCH)
		return (XPRT_MOREREQS);
	s->t.hurry = false;
	send_answers(s);
	save_input(s);
	in.at = in.len = 0;
	record_settle(&s->record);
	/* one that has said all it will is kept until it has read all */
	if (s->dead || (s->ended && s->owed == NULL && s->unread == NULL))
		return (XPRT_DIED);
	return (XPRT_IDLE);
}

/*
 * Encode behind the answers that are there.  There is room: xp_stat ends the
 * turn once they fill a batch.
 */
static bool_t
stream_reply(SVCXPRT *xprt, struct rpc_msg *reply)
{
	uint8_t *at = transport_answers + out_used;
	size_t len = transport_encode(transport_of(xprt), reply, at + MARK,
	    TRANSPORT_ANSWERS - out_used - MARK);
	uint32_t mark = htonl(0x80000000u | (uint32_t)len);

	if (len == 0) {
		stream_of(xprt)->dead = true;
		return (FALSE);
	}
	memcpy(at, &mark, MARK);
	out_used += MARK + len;
	return (TRUE);
}

void
stream_adopt(int fd, const struct peer *peer)
{
	static const struct xp_ops ops = {
	    .xp_recv = stream_recv,
	    .xp_stat = stream_stat,
	    .xp_getargs = transport_getargs,
	    .xp_reply = stream_reply,
	    .xp_freeargs = transport_freeargs,
	    .xp_destroy = stream_destroy,
	};
	struct member *victim;
	struct stream *s;

	if (crowd_is_full(peer->door) &&
	    (victim = crowd_victim(peer->door)) != NULL) {
		log_evicted(&victim->peer);
		stream_destroy(&stream_with(victim)->t.xprt);
	}
	if (crowd_is_full(peer->door) || fd >= FD_SETSIZE ||
	    (s = calloc(1, sizeof(*s))) == NULL) {
		guard_begin(peer);
		close(fd);
		guard_end(peer);
		return;
	}
	s->t.call.peer = *peer;
	by_fd[fd] = s;
	crowd_join(&s->member, peer, loop_now());
	if (transport_register(&s->t, fd, &ops) == -1) {
		stream_destroy(&s->t.xprt);
		return;
	}
	loop_watch(fd, take_turn, NULL);
	take_turn(fd); /* the first call is often there already */
}

int64_t
stream_tick(int64_t now)
{
	struct member *m;
	int64_t next;

	while ((m = crowd_overdue(now, &next)) != NULL) {
		stats.idle++;
		stream_destroy(&stream_with(m)->t.xprt);
	}
	return (next);
}

void
stream_close_all(void)
{
	struct member *m;

	while ((m = crowd_any()) != NULL)
		release(stream_with(m));
}
