/* SPDX-License-Identifier: BSD-2-Clause */
#include "inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "local.h"
#include "log.h"

/* Find the kind of a socket.  Return NULL, or why it cannot be used. */
static const char *
identify(int fd, in_port_t port, enum listen_kind *kind)
{
	struct sockaddr_storage addr = {0};
	const struct sockaddr_in *sin = (const void *)&addr;
	socklen_t len = sizeof(int), addr_len = sizeof(addr);
	int type, listening, only6 = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&addr, &addr_len) == -1)
		return ("not a socket");
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return ("neither a stream nor a datagram socket");
	if (addr.ss_family == AF_UNIX && type == SOCK_STREAM) {
		*kind = listening ? LISTEN_UNIX : LISTEN_KEPT;
		return (NULL);
	}
	if (type == SOCK_STREAM && !listening)
		return ("not listening");
	*kind = type == SOCK_DGRAM ? LISTEN_UDP : LISTEN_TCP;
	if (addr.ss_family == AF_INET6) {
		/* the port is where IPv4 has it */
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, &len);
		if (type == SOCK_STREAM || !only6)
			return ("IPv6 is not served: write 0.0.0.0 before the "
				"port");
		*kind = LISTEN_UDP6;
	} else if (addr.ss_family != AF_INET)
		return ("neither IPv4 nor a local stream socket");
	return (ntohs(sin->sin_port) == port ? NULL : "on another port");
}

/*
 * Refuse SCM_RIGHTS.  Return true if some can arrive nevertheless: on kernels
 * before 6.16, and on connections that are waiting already.
 */
static bool
clients_may_pass(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return (!local_refuse_fds(fd) || poll(&p, 1, 0) != 0);
}

static void
adopt(struct listen_sockets *set, int fd, enum listen_kind kind)
{
	struct listen_socket s = {fd, kind, false};

	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		log_fatal("cannot set O_NONBLOCK: %s", strerror(errno));
	if (kind == LISTEN_UNIX)
		s.may_pass = clients_may_pass(fd);
	else if (kind != LISTEN_KEPT)
		listen_set_options(fd, kind);
	listen_add(set, &s);
}

void
inherit_sockets(int count, in_port_t port, struct listen_sockets *set)
{
	enum listen_kind kind;
	const char *problem;

	if (count > LISTEN_INHERITED_MAX)
		log_fatal("LISTEN_FDS=%d: more than %d sockets", count,
		    LISTEN_INHERITED_MAX);
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + count; fd++) {
		problem = identify(fd, port, &kind);
		if (problem == NULL) {
			adopt(set, fd, kind);
			continue;
		}
		log_warning(
		    "inherited descriptor %d is not used: %s", fd, problem);
		close(fd);
	}
}
