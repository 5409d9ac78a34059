/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accepting.  A listening socket stays readable while accept() fails for want
 * of descriptors, or because a security module forbids it, so the listeners
 * then leave the loop for a second instead of spinning in it.
 */
#include "listener.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "doors.h"
#include "log.h"
#include "loop.h"
#include "stats.h"
#include "stream.h"
#include "transport.h"

enum {
	PAUSE_MS = 1000,
	ACCEPTS_A_TURN = 16
};

struct listener {
	int fd;
	enum door_kind kind;
	const struct nets *guests;
};

static struct listener listeners[DOOR_SOCKETS_MAX];
static size_t count;
static int64_t resume = INT64_MAX; /* when the pause is over, ms */

static void accept_some(int fd);

static void
listen_all(loop_fn *on_connection)
{
	for (size_t i = 0; i < count; i++)
		loop_watch(listeners[i].fd, on_connection, NULL);
}

static void
take_a_break(int error)
{
	log_trouble("accept", error);
	listen_all(NULL);
	resume = loop_now() + PAUSE_MS;
}

/* 0: a connection was taken, or turned away; else the errno of accept(). */
static int
accept_one(const struct listener *l)
{
	struct peer peer = {.door = DOOR_NETWORK};
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	bool from_here;
	int fd = accept4(l->fd, (struct sockaddr *)&from, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return (errno);
	if (l->kind == DOOR_STREAM)
		memcpy(&peer.from, &from, sizeof(peer.from));
	from_here = door_meet(fd, l->kind, &peer);
	/*
	 * The kernel keeps one connection for nfsd and lockd.  It does not
	 * connect again to UNSET, so an nfsd that stops after our restart would
	 * leave its entries behind.
	 */
	if (l->kind == DOOR_UNIX && peer.uid == OWNER_ROOT)
		daemon_keep(fd);
	if (transport_admits(l->guests, peer.from.sin_addr, from_here)) {
		stream_adopt(fd, &peer);
	} else {
		stats.shut++;
		close(fd);
	}
	return (0);
}

static void
accept_some(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	const struct listener *l = listeners;
	int failures = 0;

	while (l->fd != fd)
		l++;
	for (int n = 0; n < ACCEPTS_A_TURN; n++) {
		int error;

		/* asking first is cheaper than an accept() of nothing */
		if (n > 0 && poll(&p, 1, 0) != 1)
			return;
		error = accept_one(l);
		if (error == EAGAIN)
			return;
		/* most errors are that connection's own, accept(2): go on */
		if (error != 0)
			failures++;
		if (error == EMFILE || error == ENFILE || error == ENOBUFS ||
		    error == ENOMEM || failures == ACCEPTS_A_TURN) {
			take_a_break(error);
			return;
		}
	}
}

void
listener_serve(int fd, enum door_kind kind, const struct nets *guests)
{
	listeners[count++] = (struct listener){fd, kind, guests};
	loop_watch(fd, accept_some, NULL);
}

int64_t
listener_tick(int64_t now)
{
	if (now >= resume) {
		resume = INT64_MAX;
		listen_all(accept_some);
	}
	return (resume);
}

void
listener_close_all(void)
{
	listen_all(NULL);
	while (count > 0)
		close(listeners[--count].fd);
}
