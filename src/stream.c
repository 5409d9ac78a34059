/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A handler reads at most once, serves calls for a slice of time, and writes
 * once.  While a connection has unsent output, it is not read.
 */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h>
#include <netinet/in.h>

#include "be32.h"
#include "closer.h"
#include "debt.h"
#include "log.h"
#include "loop.h"
#include "record.h"
#include "share.h"
#include "transport.h"

enum {
	INPUT = 16384,                /* bytes read at once */
	INPUT_SUSPECT = 128,          /* for a suspect: debt.h */
	OUTBUF_MAX = 4 * 1024 * 1024, /* unsent bytes of all connections */
	DRAIN_MS = 10,     /* poll interval for draining connections */
	UNREAD_MIN = 1024, /* bytes; fewer are left to tcp_max_orphans */
	STATE_CLOSE = 7    /* TCP_CLOSE of the kernel's net/tcp_states.h */
};

struct stream {
	struct transport t; /* first */
	struct share share;
	TAILQ_ENTRY(stream) entry; /* in `draining` or `waiting` */
	struct record record;
	uint8_t *unserved; /* input that was read and not served yet */
	size_t unserved_len;
	uint8_t *outbuf; /* unsent output */
	size_t outbuf_len, outbuf_sent;
	size_t replied; /* bytes, those in outbuf included */
	bool may_pass;  /* descriptors: closer.h */
	bool ended;     /* all input was read */
	bool closing;   /* once outbuf is sent */
	bool drains;    /* it is in `draining` */
	bool waits;     /* it is in `waiting` */
};

static size_t outbuf_total;

/* Connections that have ended before their clients received all replies. */
static TAILQ_HEAD(, stream) draining = TAILQ_HEAD_INITIALIZER(draining);
static int64_t drain_due; /* ms */

/* Connections that are not served because their callers are in debt. */
static TAILQ_HEAD(, stream) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static int64_t resume_due = INT64_MAX; /* ms */

/* The input and the replies of the connection that is being served. */
static struct {
	uint8_t bytes[INPUT];
	size_t len, used;
} in;
static size_t out_used; /* bytes of transport_replies */

static struct stream *
stream_of(struct share *share)
{
	return ((struct stream *)(void *)((char *)share -
					  offsetof(struct stream, share)));
}

/*
 * Closing.  close(2) would leave replies that a TCP client has not read in the
 * kernel, for minutes and without limit.  So a connection that ends waits in
 * `draining` until its client has received all of them, and one that is evicted
 * or idle is reset.
 */

/* Return true if a TCP client has not acknowledged all replies: tcp(7). */
static bool
has_unread(const struct stream *s)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return (
	    s->t.call.peer.origin != ORIGIN_LOCAL && s->replied > UNREAD_MIN &&
	    getsockopt(s->t.xprt.xp_fd, IPPROTO_TCP, TCP_INFO, &info, &len) ==
		0 &&
	    info.tcpi_state != STATE_CLOSE &&
	    info.tcpi_unacked + info.tcpi_notsent_bytes > 0);
}

/* Close a connection; do not wait if its client may have passed descriptors. */
static void
close_fd(int fd, const struct peer *peer, bool may_pass)
{
	/* the service manager has a copy, so close() does not end it */
	if (peer->origin == ORIGIN_LOCAL && peer->uid == UID_ROOT)
		shutdown(fd, SHUT_RDWR);
	if (may_pass)
		closer_close(fd);
	else
		close(fd);
}

static void
close_stream(struct stream *s)
{
	int fd = s->t.xprt.xp_fd;

	if (s->drains)
		TAILQ_REMOVE(&draining, s, entry);
	if (s->waits)
		TAILQ_REMOVE(&waiting, s, entry);
	share_remove(&s->share);
	loop_watch(fd, NULL, NULL, NULL);
	transport_unregister(&s->t);
	debt_begin(&s->t.call.peer);
	close_fd(fd, &s->t.call.peer, s->may_pass && !s->ended);
	debt_end(&s->t.call.peer, 1, 0);
	outbuf_total -= s->outbuf_len;
	record_reset(&s->record);
	free(s->unserved);
	free(s->outbuf);
	free(s);
}

void
stream_reset_on_close(int fd)
{
	const struct linger reset = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* Close a connection, and drop what its client has not read. */
static void
reset_stream(struct stream *s)
{
	if (s->t.call.peer.origin != ORIGIN_LOCAL)
		stream_reset_on_close(s->t.xprt.xp_fd);
	close_stream(s);
}

/* Close a connection once its client has received all replies. */
static void
end_stream(struct stream *s)
{
	int fd = s->t.xprt.xp_fd;

	if (!(s->drains = has_unread(s))) {
		close_stream(s);
		return;
	}
	TAILQ_INSERT_TAIL(&draining, s, entry);
	share_touch(&s->share, true, loop_now());
	loop_watch(fd, NULL, NULL, NULL);
	shutdown(fd, SHUT_RDWR);
}

static void
close_drained(int64_t now)
{
	struct stream *s, *next;

	if (now < drain_due)
		return;
	drain_due = now + DRAIN_MS;
	for (s = TAILQ_FIRST(&draining); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (!has_unread(s))
			close_stream(s);
	}
}

static void
evict(struct share *share)
{
	struct stream *s = stream_of(share);

	counters.evicted++;
	log_evicted(&s->t.call.peer);
	reset_stream(s);
}

static void on_readable(void *arg);
static void on_writable(void *arg);

/*
 * Debt.
 */

/* Return true, and put a connection aside, if its caller is in debt. */
static bool
must_wait(struct stream *s)
{
	int64_t until = debt_until(&s->t.call.peer);

	if (until == 0)
		return (false);
	if (until < resume_due)
		resume_due = until;
	s->waits = true;
	TAILQ_INSERT_TAIL(&waiting, s, entry);
	loop_watch(s->t.xprt.xp_fd, NULL, NULL, NULL);
	return (true);
}

/* Let all that wait try again. */
static void
resume(int64_t now)
{
	struct stream *s;

	if (now < resume_due)
		return;
	resume_due = INT64_MAX;
	while ((s = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, s, entry);
		s->waits = false;
		if (s->outbuf != NULL) {
			loop_watch(s->t.xprt.xp_fd, NULL, on_writable, s);
			continue;
		}
		loop_watch(s->t.xprt.xp_fd, on_readable, NULL, s);
		loop_defer(s->t.xprt.xp_fd);
	}
}

/*
 * Output.
 */

/*
 * Send what the socket takes.  Return how much that was, or -1 on an error.
 * This is write(), because the sandbox looks at the flags of each send().
 */
static ssize_t
send_now(struct stream *s, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	debt_begin(&s->t.call.peer);
	do {
		n = write(s->t.xprt.xp_fd, bytes, len);
	} while (n == -1 && errno == EINTR);
	debt_end(&s->t.call.peer, 1, len);
	return (n == -1 && errno == EAGAIN ? 0 : n);
}

static void
on_writable(void *arg)
{
	struct stream *s = arg;
	int fd = s->t.xprt.xp_fd;
	ssize_t n;

	if (must_wait(s))
		return;
	n = send_now(
	    s, s->outbuf + s->outbuf_sent, s->outbuf_len - s->outbuf_sent);
	if (n == -1) {
		close_stream(s);
		return;
	}
	s->outbuf_sent += (size_t)n;
	if (s->outbuf_sent < s->outbuf_len) {
		if (n > 0) /* a slow reader, and not an idle one */
			share_touch(&s->share, true, loop_now());
		return;
	}
	outbuf_total -= s->outbuf_len;
	free(s->outbuf);
	s->outbuf = NULL;
	s->outbuf_len = s->outbuf_sent = 0;
	if (s->closing) {
		end_stream(s);
		return;
	}
	share_touch(&s->share, false, loop_now());
	/* continue with calls that were read before or have arrived since */
	loop_watch(fd, on_readable, NULL, s);
	loop_defer(fd);
}

/* Buffer unsent output.  Evict the slowest readers above OUTBUF_MAX. */
static void
buffer_output(struct stream *s, const uint8_t *bytes, size_t len)
{
	struct share *slowest;

	while (outbuf_total + len > OUTBUF_MAX &&
	       (slowest = share_slowest()) != NULL)
		evict(slowest);
	if ((s->outbuf = malloc(len)) == NULL) {
		s->closing = true;
		return;
	}
	memcpy(s->outbuf, bytes, len);
	s->outbuf_len = len;
	outbuf_total += len;
	share_touch(&s->share, true, loop_now());
	loop_watch(s->t.xprt.xp_fd, NULL, on_writable, s);
}

static void
send_replies(struct stream *s)
{
	size_t len = out_used;
	ssize_t n;

	out_used = 0;
	if (len == 0)
		return;
	s->replied += len;
	n = send_now(s, transport_replies, len);
	if (n == -1)
		s->closing = true;
	else if ((size_t)n < len)
		buffer_output(s, transport_replies + n, len - (size_t)n);
}

/* xp_reply.  There is room: on_readable() serves no call after a batch. */
static bool_t
on_reply(SVCXPRT *xprt, struct rpc_msg *reply)
{
	struct stream *s = (struct stream *)(void *)xprt;
	uint8_t *at = transport_replies + out_used;
	size_t len = transport_encode(&s->t, reply, at + RECORD_MARK,
	    TRANSPORT_REPLIES - out_used - RECORD_MARK);

	if (len == 0) {
		s->closing = true;
		return (FALSE);
	}
	be32enc(at, 0x80000000u | (uint32_t)len);
	out_used += RECORD_MARK + len;
	return (TRUE);
}

/*
 * Input.
 */

/*
 * Read what has arrived, but no descriptors that the client passes: recv(2)
 * would close them, which can block.  A peek without a control buffer reports
 * them and keeps them: MSG_CTRUNC, recvmsg(2).
 */
static ssize_t
receive(struct stream *s)
{
	int fd = s->t.xprt.xp_fd;
	/* each watcher is woken for each message of the client that is read */
	size_t room = debt_is_suspect(&s->t.call.peer) ? INPUT_SUSPECT : INPUT;
	struct iovec iov = {in.bytes, room};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (!s->may_pass)
		return (recv(fd, in.bytes, room, MSG_DONTWAIT));
	n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_PEEK);
	if (n <= 0)
		return (n);
	if ((msg.msg_flags & MSG_CTRUNC) != 0) {
		transport_badcall(&s->t.call, "descriptors");
		errno = EBADMSG;
		return (-1);
	}
	iov.iov_len = (size_t)n;
	return (recvmsg(fd, &msg, MSG_DONTWAIT));
}

/* Get what was read before, else read what has arrived. */
static void
fill_input(struct stream *s)
{
	ssize_t n;

	in.used = 0;
	in.len = s->unserved_len;
	if (s->unserved != NULL) {
		memcpy(in.bytes, s->unserved, s->unserved_len);
		free(s->unserved);
		s->unserved = NULL;
		s->unserved_len = 0;
		return;
	}
	debt_begin(&s->t.call.peer);
	do {
		n = receive(s);
	} while (n == -1 && errno == EINTR);
	debt_end(&s->t.call.peer, 1, sizeof(in.bytes));
	if (n > 0)
		in.len = (size_t)n;
	else if (n == 0)
		s->closing = s->ended = true;
	else if (errno != EAGAIN)
		s->closing = true;
}

/* Serve one call.  Return false if none is complete, or after an error. */
static bool
serve_record(struct stream *s)
{
	const uint8_t *body;
	size_t used, len;

	if (in.used == in.len)
		return (false);
	switch (record_feed(&s->record, WIRE_RECORD_MAX, in.bytes + in.used,
	    in.len - in.used, &used, &body, &len)) {
	case RECORD_MORE:
		in.used = in.len;
		return (false);
	case RECORD_BAD:
		transport_badcall(&s->t.call, "record");
		s->closing = true;
		return (false);
	case RECORD_WHOLE:
		break;
	}
	in.used += used;
	share_touch(&s->share, false, loop_now());
	if (transport_serve(&s->t, body, len) == CALL_MALFORMED)
		s->closing = true;
	return (!s->closing);
}

/* Keep the input that was not served. */
static void
save_input(struct stream *s)
{
	size_t len = in.len - in.used;

	if (len == 0 || s->closing)
		return;
	if ((s->unserved = malloc(len)) == NULL) {
		s->closing = true;
		return;
	}
	memcpy(s->unserved, in.bytes + in.used, len);
	s->unserved_len = len;
	if (s->outbuf == NULL)
		loop_defer(s->t.xprt.xp_fd);
}

static void
on_readable(void *arg)
{
	struct stream *s = arg;
	bool more;

	if (must_wait(s))
		return;
	fill_input(s);
	do {
		more = serve_record(s);
	} while (more && out_used < TRANSPORT_BATCH && !loop_over_slice());
	send_replies(s);
	save_input(s);
	record_done(&s->record);
	if (s->closing && s->outbuf == NULL)
		end_stream(s);
}

void
stream_open(int fd, const struct peer *peer, bool may_pass)
{
	const int yes = 1;
	struct stream *s = calloc(1, sizeof(*s));
	struct share *victim;

	if (s != NULL &&
	    (victim = share_victim(POOL_CONNECTIONS, peer)) != NULL)
		evict(victim);
	if (s == NULL || share_is_full(POOL_CONNECTIONS, peer->origin) ||
	    transport_register(&s->t, fd, on_reply) == -1) {
		free(s);
		close_fd(fd, peer, may_pass);
		return;
	}
	/* without this, the recvmsg() after the peek skips an out-of-band byte,
	   and closes the descriptors that were passed with it */
	if (may_pass)
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes));
	s->t.call.peer = *peer;
	s->may_pass = may_pass;
	share_add(&s->share, POOL_CONNECTIONS, peer, 0, loop_now());
	loop_watch(fd, on_readable, NULL, s);
	on_readable(s); /* the first call has often arrived */
}

int64_t
stream_tick(int64_t now)
{
	struct share *idle;
	int64_t next;

	close_drained(now);
	resume(now);
	while ((idle = share_expired(POOL_CONNECTIONS, now, &next)) != NULL) {
		counters.idle++;
		reset_stream(stream_of(idle));
	}
	if (!TAILQ_EMPTY(&draining) && drain_due < next)
		next = drain_due;
	return (next < resume_due ? next : resume_due);
}
