/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CALLIT, asynchronously: one connected socket for each call, so that only
 * the service can answer, unprivileged and with AUTH_NONE, so that the service
 * cannot take the caller for root of this host.  Knows neither the table nor
 * the rules.  What goes wrong is counted, and the caller hears nothing.
 */
#include "forward.h"

#include <errno.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "crowd.h"
#include "datagram.h"
#include "log.h"
#include "loop.h"

enum {
	FORWARDS_MAX = 256,
	FORWARDS_A_SOURCE = 32,
	PATIENCE_MS = 5000,
	ANSWERS_A_TURN = 4, /* read from one service */
};

struct forward {
	TAILQ_ENTRY(forward) entry;
	struct forward_caller caller;
	uint32_t prog, vers, proc;
	in_port_t port;
	int fd;
	uint32_t xid; /* ours */
	int64_t deadline;
};

TAILQ_HEAD(forwards, forward);

static struct forward slots[FORWARDS_MAX];
static struct forwards free_slots = TAILQ_HEAD_INITIALIZER(free_slots);
static struct forwards under_way = TAILQ_HEAD_INITIALIZER(under_way);
static struct forward *by_fd[FD_SETSIZE];
static size_t count, limit;

void
forward_limits(int descriptors)
{
	limit = crowd_share(FORWARDS_MAX, descriptors);
	for (size_t i = 0; i < limit; i++)
		TAILQ_INSERT_TAIL(&free_slots, &slots[i], entry);
}

static void
finish(struct forward *f, enum callit what)
{
	log_callit(what, &f->caller.from, f->prog, f->vers, f->proc);
	loop_watch(f->fd, NULL, NULL);
	by_fd[f->fd] = NULL;
	close(f->fd);
	TAILQ_REMOVE(&under_way, f, entry);
	TAILQ_INSERT_HEAD(&free_slots, f, entry);
	count--;
}

static size_t
held_by(struct in_addr source)
{
	const struct forward *f;
	size_t n = 0;

	TAILQ_FOREACH(f, &under_way, entry)
		n += pmap_same_source(f->caller.from.sin_addr, source);
	return (n);
}

/* The source that has the most under way. */
static struct in_addr
greediest(void)
{
	struct in_addr source = {0};
	const struct forward *f;
	size_t n, most = 0;

	TAILQ_FOREACH(f, &under_way, entry) {
		if ((n = held_by(f->caller.from.sin_addr)) > most) {
			most = n;
			source = f->caller.from.sin_addr;
		}
	}
	return (source);
}

static void
evict_oldest_of(struct in_addr source)
{
	struct forward *f;

	TAILQ_FOREACH(f, &under_way, entry) {
		if (pmap_same_source(f->caller.from.sin_addr, source)) {
			finish(f, CALLIT_EVICTED);
			return;
		}
	}
}

static void
make_room(struct in_addr source)
{
	if (held_by(source) >= FORWARDS_A_SOURCE)
		evict_oldest_of(source);
	else if (count == limit)
		evict_oldest_of(greediest());
}

/*
 * A socket that only the service at `to` can answer to, from a port that
 * proves nothing; or -1.
 */
static int
open_to(const struct sockaddr_in *to)
{
	struct sockaddr_in own = {0};
	socklen_t len = sizeof(own);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return (-1);
	if (fd < FD_SETSIZE &&
	    connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
	    ntohs(own.sin_port) >= PORT_RESERVED)
		return (fd);
	close(fd);
	return (-1);
}

/* Hand the results on, once they are known to be the answer. */
static enum callit
relay(const struct forward *f, const uint8_t *results, size_t len)
{
	static uint8_t bytes[WIRE_RECORD_MAX + WIRE_CALL_MIN];
	size_t room = f->caller.answer_max < sizeof(bytes)
			  ? f->caller.answer_max
			  : sizeof(bytes);

	len = wire_callit_answer(
	    f->caller.xid, f->port, results, len, bytes, room);
	if (len == 0)
		return (CALLIT_TOO_LONG);
	return (datagram_send(f->caller.fd, f->caller.local, &f->caller.from,
		    bytes, len) == 0
		    ? CALLIT_RELAYED
		    : CALLIT_FAILED);
}

/* Something came back, be it an answer or an ICMP error. */
static void
on_answer(int fd)
{
	static uint8_t bytes[WIRE_RECORD_MAX];
	struct forward *f = by_fd[fd];
	const uint8_t *results;
	size_t len;

	for (int i = 0; i < ANSWERS_A_TURN; i++) {
		ssize_t n =
		    recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

		if (n == -1) {
			if (errno != EAGAIN && errno != EINTR)
				finish(f, CALLIT_FAILED);
			return;
		}
		if ((size_t)n > sizeof(bytes)) {
			finish(f, CALLIT_TOO_LONG);
			return;
		}
		switch (wire_answer(bytes, (size_t)n, f->xid, &results, &len)) {
		case ANSWER_OTHER:
			continue;
		case ANSWER_FAILED:
			finish(f, CALLIT_FAILED);
			return;
		case ANSWER_SUCCESS:
			finish(f, relay(f, results, len));
			return;
		}
	}
}

void
forward_start(const struct forward_caller *caller,
    const struct wire_callit *what, in_port_t port)
{
	static uint8_t bytes[WIRE_CALL_MIN + WIRE_RECORD_MAX];
	const struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr = caller->local};
	struct forward *f;
	uint32_t xid;
	size_t len;
	int fd;

	make_room(caller->from.sin_addr);
	fd = open_to(&to);
	if (fd == -1 || (f = TAILQ_FIRST(&free_slots)) == NULL ||
	    getrandom(&xid, sizeof(xid), 0) != sizeof(xid)) {
		log_callit(CALLIT_FAILED, &caller->from, what->prog, what->vers,
		    what->proc);
		if (fd != -1)
			close(fd);
		return;
	}
	TAILQ_REMOVE(&free_slots, f, entry);
	TAILQ_INSERT_TAIL(&under_way, f, entry);
	count++;
	f->caller = *caller;
	f->prog = what->prog;
	f->vers = what->vers;
	f->proc = what->proc;
	f->port = port;
	f->fd = fd;
	f->xid = xid;
	f->deadline = loop_now() + PATIENCE_MS;
	by_fd[fd] = f;
	loop_watch(fd, on_answer, NULL);

	len = wire_forward(what, xid, bytes);
	if (send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		finish(f, CALLIT_FAILED);
	else
		log_callit(CALLIT_FORWARDED, &caller->from, what->prog,
		    what->vers, what->proc);
}

int64_t
forward_tick(int64_t now)
{
	struct forward *f;

	while ((f = TAILQ_FIRST(&under_way)) != NULL) {
		if (f->deadline > now)
			return (f->deadline);
		finish(f, CALLIT_EXPIRED);
	}
	return (INT64_MAX);
}

size_t
forward_count(void)
{
	return (count);
}

void
forward_close_all(void)
{
	struct forward *f;

	while ((f = TAILQ_FIRST(&under_way)) != NULL)
		finish(f, CALLIT_EXPIRED);
}
