/* SPDX-License-Identifier: BSD-2-Clause */
#include "listen.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "log.h"

enum {
	/* The kernel doubles each buffer: socket(7). */
	/* a burst of calls, while connections are served */
	UDP_RECEIVE = 4 * 1024 * 1024,
	/*
	 * Replies that wait for ARP: the kernel keeps 212992 bytes for each of
	 * up to 1024 addresses (unres_qlen_bytes and gc_thresh3, arp(7)).
	 */
	UDP_SEND = 104 * 1024 * 1024,
	/* of each connection: the kernel keeps what a client leaves unread */
	TCP_BUFFER = 64 * 1024,
};

void
listen_add(struct listen_sockets *set, const struct listen_socket *s)
{
	set->sockets[set->count++] = *s;
}

static void __attribute__((noreturn))
cannot_bind(const struct sockaddr_in *sin, const char *proto)
{
	char addr[INET_ADDRSTRLEN];
	unsigned port = ntohs(sin->sin_port);

	inet_ntop(AF_INET, &sin->sin_addr, addr, sizeof(addr));
	if (errno == EADDRINUSE)
		log_fatal("port %u/%s is in use on %s: stop the other program "
			  "(`ss -lnp sport = %u` shows it; rpcbind comes with "
			  "rpcbind.socket), or choose another port with -p",
		    port, proto, addr, port);
	if (errno == EACCES || errno == EPERM)
		log_fatal("no permission to bind port %u/%s: start as root, or "
			  "with CAP_NET_BIND_SERVICE, or restart "
			  "portmap.socket if it was changed",
		    port, proto);
	log_fatal("cannot listen on %s port %u/%s: %s", addr, port, proto,
	    strerror(errno));
}

static void
set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == -1)
		log_fatal(
		    "cannot set socket option %d: %s", option, strerror(errno));
}

/*
 * Set a buffer, without the limit of net.core if we have CAP_NET_ADMIN.  If
 * not, the service manager may have set more than we can.
 */
static void
set_buffer(int fd, int force, int option, int bytes)
{
	int now = 0;
	socklen_t len = sizeof(now);

	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) == 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, option, &now, &len) == -1 ||
	    now / 2 < bytes)
		set_option(fd, SOL_SOCKET, option, bytes);
}

static void
set_udp_options(int fd)
{
	set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
	/* no multicast groups but our own, and we join none */
	set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, UDP_RECEIVE);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, UDP_SEND);
}

/* Accepted connections inherit these. */
static void
set_tcp_options(int fd)
{
	set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* one repeated SYN-ACK, because the address of a SYN can be forged */
	set_option(fd, IPPROTO_TCP, TCP_SYNCNT, 1);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, TCP_BUFFER);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, TCP_BUFFER);
}

void
listen_set_options(int fd, enum listen_kind kind)
{
	if (kind == LISTEN_UDP)
		set_udp_options(fd);
	else if (kind == LISTEN_UDP6)
		set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	else
		set_tcp_options(fd);
}

/*
 * With `share`, permit another UDP socket of the same user on the same port;
 * else permit none.  Applies to inherited sockets, too.
 */
static void
set_sharing(const struct listen_sockets *set, int share)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->sockets[i].kind != LISTEN_UDP)
			continue;
		set_option(set->sockets[i].fd, SOL_SOCKET, SO_REUSEADDR, 0);
		set_option(set->sockets[i].fd, SOL_SOCKET, SO_REUSEPORT, share);
	}
}

/*
 * Open one socket.  For TCP, SO_REUSEADDR permits bind() while connections are
 * in TIME_WAIT.  For UDP, with `shares`, SO_REUSEPORT permits bind() next to a
 * socket of ours for which set_sharing() was called, and next to no other's.
 */
static void
open_inet(struct listen_sockets *set, struct in_addr addr, in_port_t port,
    int type, bool shares)
{
	const char *proto = type == SOCK_STREAM ? "tcp" : "udp";
	const struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = addr};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct listen_socket s = {
	    .fd = fd, .kind = type == SOCK_STREAM ? LISTEN_TCP : LISTEN_UDP};

	if (fd == -1)
		log_fatal(
		    "cannot create a %s socket: %s", proto, strerror(errno));
	/* the address may not exist yet */
	if (addr.s_addr != htonl(INADDR_ANY))
		set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
	listen_set_options(fd, s.kind);
	if (type == SOCK_STREAM || shares)
		set_option(
		    fd, SOL_SOCKET, shares ? SO_REUSEPORT : SO_REUSEADDR, 1);
	if (bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    (type == SOCK_STREAM && listen(fd, LISTEN_BACKLOG) == -1))
		cannot_bind(&sin, proto);
	listen_add(set, &s);
}

/*
 * Open UDP on [::], or with `loopback` on [::1].  It is no more than a
 * courtesy, so portmap does without on a host that has no IPv6, or whose port
 * is taken.
 */
static void
open_udp6(struct listen_sockets *set, in_port_t port, bool loopback)
{
	const struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
	    .sin6_port = htons(port),
	    .sin6_addr = loopback ? in6addr_loopback : in6addr_any};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct listen_socket s = {.fd = fd, .kind = LISTEN_UDP6};

	if (fd != -1) {
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		listen_set_options(fd, LISTEN_UDP6);
		if (bind(fd, (const struct sockaddr *)&sin6, sizeof(sin6)) ==
		    0) {
			listen_add(set, &s);
			return;
		}
	}
	if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
		log_warning("cannot listen on port %u/udp of IPv6: %s: lookups "
			    "there fail after a timeout",
		    (unsigned)port, strerror(errno));
	if (fd != -1)
		close(fd);
}

/* Find the broadcast address of the subnet of `addr`. */
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
contains(const struct in_addr *addrs, size_t count, struct in_addr addr)
{
	for (size_t i = 0; i < count; i++)
		if (addrs[i].s_addr == addr.s_addr)
			return (true);
	return (false);
}

/* A socket that is bound to one address receives no broadcasts; these do. */
static void
open_broadcasts(struct listen_sockets *set, const struct listen_config *config)
{
	struct in_addr done[LISTEN_ADDRS_MAX] = {{0}}, to;
	struct ifaddrs *all;
	size_t count = 0;

	if (config->addrs_count == 0)
		return;
	if (getifaddrs(&all) == -1) {
		log_warning(
		    "cannot receive broadcasts with -i: %s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < config->addrs_count; i++) {
		if (!broadcast_of(all, config->addrs[i], &to) ||
		    contains(done, count, to))
			continue;
		open_inet(set, to, config->port, SOCK_DGRAM, false);
		done[count++] = to;
	}
	freeifaddrs(all);
}

static bool
have(const struct listen_sockets *set, enum listen_kind kind)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->sockets[i].kind == kind)
			return (true);
	return (false);
}

void
listen_open(const struct listen_config *config, struct listen_sockets *set)
{
	const struct in_addr any = {htonl(INADDR_ANY)};
	const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	struct in_addr addrs[LISTEN_ADDRS_MAX + 1];
	size_t count = 0;
	/* inherited ones */
	bool tcp = have(set, LISTEN_TCP), udp = have(set, LISTEN_UDP);

	/* they serve the addresses that they are bound to, in spite of -l */
	if ((tcp || udp) && !config->anywhere)
		log_fatal(
		    "-i and -l do not apply to inherited sockets: use -a, "
		    "or run `systemctl edit portmap.socket`, as "
		    "portmap(7) shows");

	if (config->anywhere) {
		addrs[count++] = any;
	} else {
		addrs[count++] = loopback;
		for (size_t i = 0; i < config->addrs_count; i++)
			if (!contains(addrs, count, config->addrs[i]))
				addrs[count++] = config->addrs[i];
	}
	for (size_t i = 0; i < count; i++) {
		if (!tcp)
			open_inet(
			    set, addrs[i], config->port, SOCK_STREAM, false);
		if (!udp)
			open_inet(
			    set, addrs[i], config->port, SOCK_DGRAM, false);
	}
	/* a flood from the network must not starve loopback callers */
	if (config->anywhere && !udp) {
		set_sharing(set, true);
		open_inet(set, loopback, config->port, SOCK_DGRAM, true);
	}
	if (!config->anywhere && !udp)
		open_broadcasts(set, config);
	if (!udp && !have(set, LISTEN_UDP6))
		open_udp6(set, config->port, !config->anywhere);
	set_sharing(set, false);
}
