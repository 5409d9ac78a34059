/* SPDX-License-Identifier: BSD-2-Clause */
#include "accept.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "closer.h"
#include "daemon.h"
#include "log.h"
#include "loop.h"
#include "peer.h"
#include "stream.h"
#include "transport.h"

enum {
	ACCEPTS_PER_ITERATION = 16,
	PAUSE_MS = 1000,
	ROOM_PAUSE_MS = 20,
	RETRY_MS = 1000
};

struct listener {
	struct listen_socket socket;
	const struct addrfilt *acl;
};

static struct listener listeners[LISTEN_SOCKETS_MAX];
static size_t listeners_count;
static int64_t resume = INT64_MAX; /* when the pause ends, ms */

static void
watch_listeners(loop_fn *on_connection)
{
	for (size_t i = 0; i < listeners_count; i++)
		loop_watch(
		    listeners[i].socket.fd, on_connection, NULL, &listeners[i]);
}

/* Accept one connection.  Return 0, or the errno of accept4(2). */
static int
accept_one(const struct listener *l)
{
	struct peer peer = {.origin = ORIGIN_NETWORK};
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	bool from_here = true;
	int fd = accept4(l->socket.fd, (struct sockaddr *)&from, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return (errno);
	if (l->socket.kind == LISTEN_UNIX) {
		peer_identify_local(fd, &peer);
	} else {
		memcpy(&peer.from, &from, sizeof(peer.from));
		from_here = peer_identify_tcp(fd, &peer);
	}
	/*
	 * The kernel keeps one connection for nfsd and lockd.  It does not
	 * connect again to UNSET, so an nfsd that stops after our restart would
	 * leave its entries behind.
	 */
	if (peer.origin == ORIGIN_LOCAL && peer.uid == UID_ROOT)
		daemon_store_fd(fd);
	if (transport_allows(l->acl, &peer, from_here)) {
		/* root is trusted not to pass what blocks */
		stream_open(
		    fd, &peer, l->socket.may_pass && peer.uid != UID_ROOT);
	} else {
		stream_reset_on_close(fd);
		close(fd);
	}
	return (0);
}

/*
 * A listener stays readable while accept4() fails for lack of descriptors or
 * memory, or because a security module denies it.  Then all listeners pause.
 */
static void
on_connection(void *arg)
{
	const struct listener *l = arg;
	struct pollfd p = {.fd = l->socket.fd, .events = POLLIN};
	static int failures; /* since the last connection */
	static bool busy;    /* that was logged */
	int error;

	if (l->socket.may_pass && !closer_has_room()) {
		if (!busy)
			log_error("closer", EBUSY);
		busy = true;
		loop_watch(l->socket.fd, NULL, NULL, NULL);
		resume = loop_now() + ROOM_PAUSE_MS;
		return;
	}
	busy &= !l->socket.may_pass;
	for (int n = 0; n < ACCEPTS_PER_ITERATION; n++) {
		/* poll() costs less than an accept4() that finds nothing */
		if (n > 0 && (loop_over_budget() || poll(&p, 1, 0) != 1))
			return;
		error = accept_one(l);
		if (error == EAGAIN)
			return;
		/* most errors concern one connection only: accept(2) */
		failures = error == 0 ? 0 : failures + 1;
		if (error == EMFILE || error == ENFILE || error == ENOBUFS ||
		    error == ENOMEM || failures >= ACCEPTS_PER_ITERATION) {
			log_error("accept", error);
			watch_listeners(NULL);
			resume = loop_now() + PAUSE_MS;
			failures = 0;
			return;
		}
	}
}

void
accept_start(const struct listen_socket *socket, const struct addrfilt *acl)
{
	struct listener *l = &listeners[listeners_count++];

	*l = (struct listener){*socket, acl};
	loop_watch(socket->fd, on_connection, NULL, l);
	loop_share(socket->fd);
}

/* Listen on the abstract name as soon as nobody else has it. */
static int64_t
retry_local(int64_t now)
{
	static int64_t due;
	struct listen_socket s;

	if (!listen_is_missing())
		return (INT64_MAX);
	if (now < due)
		return (due);
	due = now + RETRY_MS;
	if (!listen_retry(&s))
		return (due);
	log_listening();
	accept_start(&s, NULL);
	return (INT64_MAX);
}

int64_t
accept_tick(int64_t now)
{
	int64_t retry = retry_local(now);

	if (now >= resume) {
		resume = INT64_MAX;
		watch_listeners(on_connection);
	}
	return (retry < resume ? retry : resume);
}
