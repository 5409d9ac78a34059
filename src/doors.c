/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening the doors at boot, or taking over what init has opened.  Whatever is
 * missing is fatal, but for the local door.
 */
#include "doors.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "daemon.h"
#include "guard.h"
#include "log.h"

enum {
	BACKLOG = 128,
};

static void
add(struct doors *doors, int fd, enum door_kind kind)
{
	doors->sockets[doors->count++] = (struct door_socket){fd, kind};
}

static void __attribute__((noreturn))
cannot_bind(const struct sockaddr_in *sin, const char *proto)
{
	char addr[INET_ADDRSTRLEN];
	unsigned port = ntohs(sin->sin_port);

	inet_ntop(AF_INET, &sin->sin_addr, addr, sizeof(addr));
	if (errno == EADDRINUSE)
		log_fatal("port %u/%s is taken at %s: stop the other program "
			  "(`ss -lnp sport = %u` shows it; rpcbind comes with "
			  "rpcbind.socket), or choose another port with -p",
		    port, proto, addr, port);
	if (errno == EACCES || errno == EPERM)
		log_fatal("no right to port %u/%s: start as root, or with "
			  "CAP_NET_BIND_SERVICE, or restart portmap.socket if "
			  "it was changed",
		    port, proto);
	log_fatal("cannot listen on %s port %u/%s: %s", addr, port, proto,
	    strerror(errno));
}

static void
set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == -1)
		log_fatal(
		    "cannot set socket option %d: %s", option, strerror(errno));
}

/*
 * One socket of a port.  SO_REUSEADDR only for TCP, where it means "in spite
 * of old connections"; for UDP it would let anybody bind beside us.
 */
static void
open_inet(struct doors *doors, struct in_addr addr, in_port_t port, int type)
{
	const char *proto = type == SOCK_STREAM ? "tcp" : "udp";
	const struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = addr};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		log_fatal(
		    "cannot make a %s socket: %s", proto, strerror(errno));
	set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (addr.s_addr != htonl(INADDR_ANY))
		set(fd, IPPROTO_IP, IP_FREEBIND, 1); /* it may appear later */
	if (type == SOCK_STREAM) {
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		set(fd, IPPROTO_TCP, TCP_NODELAY,
		    1); /* inherited by accept() */
	}
	if (bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) == -1))
		cannot_bind(&sin, proto);
	add(doors, fd, type == SOCK_STREAM ? DOOR_STREAM : DOOR_DATAGRAM);
}

/* The broadcast address of the subnet of `addr`, where it is known. */
static bool
broadcast_of(
    const struct ifaddrs *all, struct in_addr addr, struct in_addr *broadcast)
{
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		const struct sockaddr_in *sin = (const void *)i->ifa_addr;
		const struct sockaddr_in *to = (const void *)i->ifa_broadaddr;

		if (sin == NULL || sin->sin_family != AF_INET ||
		    sin->sin_addr.s_addr != addr.s_addr || to == NULL ||
		    !(i->ifa_flags & IFF_BROADCAST) ||
		    to->sin_addr.s_addr == addr.s_addr)
			continue;
		*broadcast = to->sin_addr;
		return (true);
	}
	return (false);
}

static bool
among(const struct in_addr *addrs, size_t count, struct in_addr addr)
{
	for (size_t i = 0; i < count; i++)
		if (addrs[i].s_addr == addr.s_addr)
			return (true);
	return (false);
}

/* A socket bound to one address gets no broadcasts: these do. */
static void
open_broadcasts(struct doors *doors, const struct door_plan *plan)
{
	struct in_addr done[DOOR_ADDRS_MAX] = {{0}}, to;
	struct ifaddrs *all;
	size_t count = 0;

	if (plan->addrs_count == 0)
		return;
	if (getifaddrs(&all) == -1) {
		log_warning("no broadcasts with -i: %s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < plan->addrs_count; i++) {
		if (!broadcast_of(all, plan->addrs[i], &to) ||
		    among(done, count, to))
			continue;
		open_inet(doors, to, plan->port, SOCK_DGRAM);
		done[count++] = to;
	}
	freeifaddrs(all);
}

/*
 * Is a socket file of ours in the way?  One that nobody listens at is taken
 * away; one that answers belongs to a living mapper.
 */
static int
clear_the_way(const struct sockaddr_un *addr, socklen_t len)
{
	struct stat st;
	int fd, error;

	if (lstat(PMAP_LOCAL_PATH, &st) == -1)
		return (errno == ENOENT ? 0 : -1);
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return (-1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	error =
	    connect(fd, (const struct sockaddr *)addr, len) == -1 ? errno : 0;
	close(fd);
	if (error == 0 || error == EAGAIN)
		log_fatal("another port mapper answers at " PMAP_LOCAL_PATH
			  ": stop it first");
	errno = error;
	return (error == ECONNREFUSED ? unlink(PMAP_LOCAL_PATH) : -1);
}

static int
listen_unix(const struct sockaddr_un *addr, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int error;

	if (fd == -1)
		return (-1);
	guard_listener(fd, true);
	mask = umask(0111); /* everybody may connect: mode 0666 */
	error = bind(fd, (const struct sockaddr *)addr, len) == -1 ||
			listen(fd, BACKLOG) == -1
		    ? errno
		    : 0;
	umask(mask);
	if (error == 0)
		return (fd);
	close(fd);
	errno = error;
	return (-1);
}

/* Has init handed over the socket of this name? */
static bool
is_open(
    const struct doors *doors, const struct sockaddr_un *addr, socklen_t len)
{
	struct sockaddr_un own;
	socklen_t own_len;

	for (size_t i = 0; i < doors->count; i++) {
		own_len = sizeof(own);
		if (doors->sockets[i].kind == DOOR_UNIX &&
		    getsockname(doors->sockets[i].fd, (struct sockaddr *)&own,
			&own_len) == 0 &&
		    own_len >= offsetof(struct sockaddr_un, sun_path) + 1 &&
		    (addr->sun_path[0] == '\0'
			    ? own_len == len && memcmp(&own, addr, len) == 0
			    : strncmp(own.sun_path, addr->sun_path,
				  sizeof(own.sun_path)) == 0))
			return (true);
	}
	return (false);
}

static void
open_local(struct doors *doors)
{
	struct sockaddr_un path = {
	    .sun_family = AF_UNIX, .sun_path = PMAP_LOCAL_PATH};
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t name_len = offsetof(struct sockaddr_un, sun_path) + 1 +
			     sizeof(PMAP_LOCAL_PATH) - 1;
	int fd;

	if (!is_open(doors, &path, sizeof(path))) {
		if (clear_the_way(&path, sizeof(path)) == -1 ||
		    (fd = listen_unix(&path, sizeof(path))) == -1) {
			log_warning("no local door at " PMAP_LOCAL_PATH
				    ": %s: servers of this host cannot "
				    "register by it and `rpcinfo -p` needs a "
				    "host; start as root to have it",
			    strerror(errno));
			return;
		}
		add(doors, fd, DOOR_UNIX);
	}

	memcpy(name.sun_path + 1, PMAP_LOCAL_PATH, sizeof(PMAP_LOCAL_PATH) - 1);
	if (is_open(doors, &name, name_len))
		return;
	if ((fd = listen_unix(&name, name_len)) == -1) {
		log_warning("cannot listen at the abstract socket "
			    "@" PMAP_LOCAL_PATH
			    ": %s: if somebody else holds it, "
			    "registrations may go astray to them; `ss -xlp` "
			    "shows who",
		    strerror(errno));
		return;
	}
	add(doors, fd, DOOR_UNIX);
}

/*
 * Sockets that init has opened for us: sd_listen_fds(3).
 */

/* What kind is it?  NULL, or why it is none of ours. */
static const char *
recognise(int fd, in_port_t port, enum door_kind *kind)
{
	struct sockaddr_storage addr = {0};
	const struct sockaddr_in *sin = (const void *)&addr;
	socklen_t len = sizeof(int), addr_len = sizeof(addr);
	int type, listening;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&addr, &addr_len) == -1)
		return ("it is no socket");
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return ("its type is not served");
	if (addr.ss_family == AF_UNIX && type == SOCK_STREAM) {
		*kind = listening ? DOOR_UNIX : DOOR_KEPT;
		return (NULL);
	}
	if (type == SOCK_STREAM && !listening)
		return ("it does not listen");
	*kind = type == SOCK_DGRAM ? DOOR_DATAGRAM : DOOR_STREAM;
	if (addr.ss_family == AF_INET6)
		return ("IPv6 is not served: write 0.0.0.0 before the port");
	if (addr.ss_family != AF_INET)
		return ("its family is not served");
	return (ntohs(sin->sin_port) == port ? NULL : "it is at another port");
}

/* It gets the options that open_inet() and listen_unix() give to ours. */
static void
adopt(struct doors *doors, int fd, enum door_kind kind)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		log_fatal("cannot set socket option: %s", strerror(errno));
	switch (kind) {
	case DOOR_KEPT:
		break;
	case DOOR_UNIX:
		guard_listener(fd, false);
		break;
	case DOOR_STREAM:
		set(fd, IPPROTO_IP, IP_PKTINFO, 1);
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		break;
	case DOOR_DATAGRAM:
		set(fd, IPPROTO_IP, IP_PKTINFO, 1);
		/* nobody is to bind beside us */
		set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
		set(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	}
	add(doors, fd, kind);
}

static void
adopt_all(struct doors *doors, int inherited, in_port_t port)
{
	enum door_kind kind;
	const char *problem;

	if (inherited > DOOR_ADDRS_MAX)
		log_fatal("init has opened more than %d sockets: give it fewer",
		    DOOR_ADDRS_MAX);
	for (int i = 0; i < inherited; i++) {
		int fd = DAEMON_INHERITED + i;

		problem = recognise(fd, port, &kind);
		if (problem == NULL) {
			adopt(doors, fd, kind);
			continue;
		}
		log_warning("socket %d of those that init has opened is not "
			    "used: %s",
		    i + 1, problem);
		close(fd);
	}
}

static bool
have(const struct doors *doors, enum door_kind kind)
{
	for (size_t i = 0; i < doors->count; i++)
		if (doors->sockets[i].kind == kind)
			return (true);
	return (false);
}

void
doors_open(const struct door_plan *plan, int inherited, struct doors *doors)
{
	const struct in_addr any = {htonl(INADDR_ANY)};
	const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	struct in_addr addrs[DOOR_ADDRS_MAX + 1];
	size_t count = 0;
	bool tcp, udp;

	adopt_all(doors, inherited, plan->port);
	tcp = have(doors, DOOR_STREAM);
	udp = have(doors, DOOR_DATAGRAM);
	/* such a daemon would serve the network in spite of -l */
	if ((tcp || udp) && !plan->anywhere)
		log_fatal("-i and -l do not apply to inherited sockets: choose "
			  "the addresses in portmap.socket instead");

	if (plan->anywhere) {
		addrs[count++] = any;
	} else {
		addrs[count++] = loopback;
		for (size_t i = 0; i < plan->addrs_count; i++)
			if (!among(addrs, count, plan->addrs[i]))
				addrs[count++] = plan->addrs[i];
	}
	for (size_t i = 0; i < count; i++) {
		if (!tcp)
			open_inet(doors, addrs[i], plan->port, SOCK_STREAM);
		if (!udp)
			open_inet(doors, addrs[i], plan->port, SOCK_DGRAM);
	}
	if (!plan->anywhere && !udp)
		open_broadcasts(doors, plan);
	if (plan->port == PMAP_PORT)
		open_local(doors);
}
