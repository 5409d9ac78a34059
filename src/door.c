/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening the doors, and telling them apart by what the kernel says about a
 * call's way in and by nothing else.  Knows no rights.
 */
#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "guard.h"
#include "log.h"

/* Where libtirpc and the kernel look; both names are theirs. */
#define LOCAL_PATH "/run/rpcbind.sock"

enum {
	LO_INDEX = 1, /* in every network namespace, since Linux 2.6.26 */
	BACKLOG = 128,
};

static int privileged_fd = -1;

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
			  "CAP_NET_BIND_SERVICE",
		    port, proto);
	log_fatal("cannot listen on %s port %u/%s: %s", addr, port, proto,
	    strerror(errno));
}

static void
set(int fd, int level, int option)
{
	int one = 1;

	if (setsockopt(fd, level, option, &one, sizeof(one)) == -1)
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
	set(fd, IPPROTO_IP, IP_PKTINFO);
	if (addr.s_addr != htonl(INADDR_ANY))
		set(fd, IPPROTO_IP, IP_FREEBIND); /* it may appear later */
	if (type == SOCK_STREAM) {
		set(fd, SOL_SOCKET, SO_REUSEADDR);
		set(fd, IPPROTO_TCP, TCP_NODELAY); /* inherited by accept() */
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
	struct in_addr done[DOOR_ADDRS_MAX], to;
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

	if (lstat(LOCAL_PATH, &st) == -1)
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
		log_fatal("another port mapper answers at " LOCAL_PATH
			  ": stop it first");
	errno = error;
	return (error == ECONNREFUSED ? unlink(LOCAL_PATH) : -1);
}

static int
listen_unix(const struct sockaddr_un *addr, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int error;

	if (fd == -1)
		return (-1);
	guard_listener(fd);
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

static void
open_local(struct doors *doors)
{
	struct sockaddr_un path = {
	    .sun_family = AF_UNIX, .sun_path = LOCAL_PATH};
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t name_len =
	    offsetof(struct sockaddr_un, sun_path) + 1 + sizeof(LOCAL_PATH) - 1;
	int fd;

	if (clear_the_way(&path, sizeof(path)) == -1 ||
	    (fd = listen_unix(&path, sizeof(path))) == -1) {
		log_warning("no local door at " LOCAL_PATH
			    ": %s: servers of this host cannot register by it "
			    "and `rpcinfo -p` needs a host; start as root to "
			    "have it",
		    strerror(errno));
		return;
	}
	add(doors, fd, DOOR_UNIX);

	memcpy(name.sun_path + 1, LOCAL_PATH, sizeof(LOCAL_PATH) - 1);
	if ((fd = listen_unix(&name, name_len)) == -1) {
		log_warning("cannot listen at the abstract socket "
			    "@" LOCAL_PATH ": %s: if somebody else holds it, "
			    "registrations may go astray to them; `ss -xlp` "
			    "shows who",
		    strerror(errno));
		return;
	}
	add(doors, fd, DOOR_UNIX);
}

void
door_open(const struct door_plan *plan, struct doors *doors)
{
	const struct in_addr any = {htonl(INADDR_ANY)};
	const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	struct in_addr addrs[DOOR_ADDRS_MAX + 1];
	size_t count = 0;

	if (plan->anywhere) {
		addrs[count++] = any;
	} else {
		addrs[count++] = loopback;
		for (size_t i = 0; i < plan->addrs_count; i++)
			if (!among(addrs, count, plan->addrs[i]))
				addrs[count++] = plan->addrs[i];
	}
	for (size_t i = 0; i < count; i++) {
		open_inet(doors, addrs[i], plan->port, SOCK_STREAM);
		open_inet(doors, addrs[i], plan->port, SOCK_DGRAM);
	}
	if (!plan->anywhere)
		open_broadcasts(doors, plan);
	if (plan->port == PMAP_PORT)
		open_local(doors);

	privileged_fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start",
	    O_RDONLY | O_CLOEXEC);
	if (privileged_fd == -1)
		log_warning("cannot read net.ipv4.ip_unprivileged_port_start: "
			    "%s: nobody is root at the loopback door; mount "
			    "/proc to change that",
		    strerror(errno));
}

unsigned
door_privileged(void)
{
	char text[16];
	ssize_t n;

	if (privileged_fd == -1)
		return (0);
	n = pread(privileged_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return (0);
	text[n] = '\0';
	return ((unsigned)strtoul(text, NULL, 10));
}

bool
door_is_lo(int ifindex)
{
	return (ifindex == LO_INDEX);
}

enum door
door_of(struct in_addr to, int ifindex)
{
	return (to.s_addr == htonl(INADDR_LOOPBACK) && door_is_lo(ifindex)
		    ? DOOR_LOOPBACK
		    : DOOR_NETWORK);
}

struct in_pktinfo *
door_pktinfo(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo)))
			return ((struct in_pktinfo *)(void *)CMSG_DATA(c));
	return (NULL);
}

/* How a connection came in: IP_PKTOPTIONS has what IP_PKTINFO would say. */
static bool
meet_inet(int fd, struct peer *peer)
{
	union {
		struct cmsghdr align;
		char bytes[256];
	} buf;
	socklen_t len = sizeof(buf);
	struct msghdr msg = {.msg_control = &buf};
	const struct in_pktinfo *info;

	peer->door = DOOR_NETWORK;
	if (getsockopt(fd, IPPROTO_IP, IP_PKTOPTIONS, &buf, &len) == -1)
		return (false);
	msg.msg_controllen = len;
	if ((info = door_pktinfo(&msg)) == NULL)
		return (false);
	peer->door = door_of(info->ipi_addr, info->ipi_ifindex);
	return (door_is_lo(info->ipi_ifindex));
}

bool
door_meet(int fd, enum door_kind kind, struct peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	peer->uid = OWNER_NONE;
	if (kind != DOOR_UNIX)
		return (meet_inet(fd, peer));
	peer->door = DOOR_LOCAL;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		peer->uid = cred.uid;
		peer->pid = cred.pid;
	}
	return (true);
}
