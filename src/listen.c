/* SPDX-License-Identifier: BSD-2-Clause */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "decimal.h"
#include "log.h"
#include "pmap.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16, asm-generic/socket.h */
#endif

enum {
	FIRST_INHERITED = 3, /* SD_LISTEN_FDS_START of sd_listen_fds(3) */
	BACKLOG = 4096, /* when it is full, connections wait for a second */
	/* The kernel doubles each buffer: socket(7). */
	/* a burst of calls, while connections are served */
	UDP_RECEIVE = 4 * 1024 * 1024,
	/*
	 * Replies that wait for a neighbour: the kernel keeps 212992 bytes for
	 * each of up to 1024 addresses (unres_qlen_bytes and gc_thresh3,
	 * arp(7)).
	 */
	UDP_SEND = 104 * 1024 * 1024,
	/* of each connection: the kernel keeps what a client leaves unread */
	TCP_BUFFER = 64 * 1024,
};

static int end_inherited = FIRST_INHERITED;

/* There is room for all that we can have. */
static void
add(struct listen_sockets *set, const struct listen_socket *s)
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

#define SET_OPTION(fd, level, option, value)                                   \
	set_option(fd, level, option, #option, value)
static void
set_option(int fd, int level, int option, const char *name, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == -1)
		log_fatal("cannot set the socket option %s: %s: use a kernel "
			  "that permits it",
		    name, strerror(errno));
}

/*
 * Set a buffer, without the limit of net.core if we have CAP_NET_ADMIN.  If
 * not, keep what the service manager has set, if it is enough.
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
		set_option(
		    fd, SOL_SOCKET, option, "SO_RCVBUF or SO_SNDBUF", bytes);
}

static void
set_udp_options(int fd)
{
	SET_OPTION(fd, IPPROTO_IP, IP_PKTINFO, 1);
	/* no multicast groups but our own, and we join none */
	SET_OPTION(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
}

/* Accepted connections inherit these. */
static void
set_tcp_options(int fd)
{
	SET_OPTION(fd, IPPROTO_IP, IP_PKTINFO, 1);
	SET_OPTION(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* one repeated SYN-ACK, because the address of a SYN can be forged */
	SET_OPTION(fd, IPPROTO_TCP, TCP_SYNCNT, 1);
	SET_OPTION(fd, SOL_SOCKET, SO_RCVBUF, TCP_BUFFER);
	SET_OPTION(fd, SOL_SOCKET, SO_SNDBUF, TCP_BUFFER);
}

void
listen_set_options(int fd, enum listen_kind kind)
{
	if (kind == LISTEN_TCP) {
		set_tcp_options(fd);
	} else {
		if (kind == LISTEN_UDP)
			set_udp_options(fd);
		else
			SET_OPTION(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
		set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, UDP_RECEIVE);
		set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, UDP_SEND);
	}
}

/*
 * Receive only what arrives on lo: with route_localnet, other hosts could fill
 * the queue of 127.0.0.1.  Should it fail, they still cannot register.
 */
static void
keep_to_lo(int fd)
{
	/* permitted to everybody since Linux 5.7 */
	(void)!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo"));
}

/*
 * Inherited sockets: socket activation, sd_listen_fds(3).
 */

static uint32_t
number_in(const char *variable, uint32_t max)
{
	const char *text = getenv(variable);
	uint32_t n;

	return (text != NULL && decimal_parse_all(text, max, &n) ? n : 0);
}

/*
 * Tell the kernel to refuse SCM_RIGHTS on connections to this listener, which
 * it can from Linux 6.16 on: SO_PASSRIGHTS, net/core/sock.c.  Return false if
 * it does not.
 */
static bool
refuse_fds(int fd)
{
	const int no = 0;

	return (
	    setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0);
}

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

	return (!refuse_fds(fd) || poll(&p, 1, 0) != 0);
}

static void
adopt(struct listen_sockets *set, int fd, enum listen_kind kind)
{
	struct listen_socket s = {fd, kind, false};
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);

	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		log_fatal("cannot set O_NONBLOCK: %s", strerror(errno));
	if (kind == LISTEN_UNIX)
		s.may_pass = clients_may_pass(fd);
	else if (kind != LISTEN_KEPT)
		listen_set_options(fd, kind);
	if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
	    addr.sin_family == AF_INET && pmap_is_127(addr.sin_addr))
		keep_to_lo(fd);
	add(set, &s);
}

int
listen_inherited(void)
{
	int n = (int)number_in("LISTEN_FDS", INT16_MAX);

	if (number_in("LISTEN_PID", INT32_MAX) != (uint32_t)getpid())
		n = 0;
	if (n > LISTEN_INHERITED_MAX)
		log_fatal("LISTEN_FDS=%d: more than %d sockets", n,
		    LISTEN_INHERITED_MAX);
	for (int fd = FIRST_INHERITED; fd < FIRST_INHERITED + n; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			log_fatal("LISTEN_FDS=%d, but descriptor %d is not "
				  "open",
			    n, fd);
	end_inherited = FIRST_INHERITED + n;
	return (end_inherited);
}

/*
 * Add the inherited sockets, with the same options as those that we open.  Warn
 * about one that cannot be used, and close it.
 */
static void
inherit(struct listen_sockets *set, in_port_t port)
{
	enum listen_kind kind;

	for (int fd = FIRST_INHERITED; fd < end_inherited; fd++) {
		const char *problem = identify(fd, port, &kind);

		if (problem == NULL) {
			adopt(set, fd, kind);
			continue;
		}
		log_warning(
		    "inherited descriptor %d is not used: %s", fd, problem);
		/* the service manager has a copy: refuse connections there */
		shutdown(fd, SHUT_RDWR);
		close(fd);
	}
}

/*
 * UDP and TCP.
 */

/*
 * With `share`, permit other sockets of the same user on the same port; else
 * permit none.  Applies to inherited sockets, too.
 */
static void
set_sharing(const struct listen_sockets *set, int share)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct listen_socket *s = &set->sockets[i];

		if (s->kind == LISTEN_UNIX || s->kind == LISTEN_KEPT)
			continue;
		if (s->kind != LISTEN_TCP)
			SET_OPTION(s->fd, SOL_SOCKET, SO_REUSEADDR, 0);
		SET_OPTION(s->fd, SOL_SOCKET, SO_REUSEPORT, share);
	}
}

/*
 * Open one socket.  For TCP, SO_REUSEADDR permits bind() while connections are
 * in TIME_WAIT.  With `shares`, SO_REUSEPORT permits bind() next to a socket of
 * ours for which set_sharing() was called, and next to no other's.
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
		SET_OPTION(fd, IPPROTO_IP, IP_FREEBIND, 1);
	listen_set_options(fd, s.kind);
	if (type == SOCK_STREAM)
		SET_OPTION(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	SET_OPTION(fd, SOL_SOCKET, SO_REUSEPORT, shares);
	if (pmap_is_127(addr))
		keep_to_lo(fd);
	if (bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) == -1))
		cannot_bind(&sin, proto);
	add(set, &s);
}

/*
 * Open UDP on [::], or with `loopback` on [::1].  It is no more than a
 * courtesy, so portmap does without on a host that has no IPv6, or whose port
 * is taken.
 */
static void
open_udp6(
    struct listen_sockets *set, in_port_t port, bool loopback, bool shares)
{
	const struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
	    .sin6_port = htons(port),
	    .sin6_addr = loopback ? in6addr_loopback : in6addr_any};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct listen_socket s = {.fd = fd, .kind = LISTEN_UDP6};

	if (fd != -1) {
		SET_OPTION(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		listen_set_options(fd, LISTEN_UDP6);
		SET_OPTION(fd, SOL_SOCKET, SO_REUSEPORT, shares);
		if (bind(fd, (const struct sockaddr *)&sin6, sizeof(sin6)) ==
		    0) {
			add(set, &s);
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

/*
 * Open UDP and TCP sockets, each only if none was inherited.  Loopback has its
 * own, so that the network cannot fill the queues of its callers.
 */
static void
open_port(const struct listen_config *config, struct listen_sockets *set)
{
	const struct in_addr any = {htonl(INADDR_ANY)};
	/* and the one to which Debian maps the name of the host */
	const struct in_addr lo[] = {
	    {htonl(INADDR_LOOPBACK)}, {htonl(0x7f000101)}};
	struct in_addr addrs[LISTEN_ADDRS_MAX + 2];
	size_t count = 0;
	bool tcp = have(set, LISTEN_TCP), udp = have(set, LISTEN_UDP);
	bool udp6 = udp || have(set, LISTEN_UDP6);

	/* they serve the addresses that they are bound to */
	if ((tcp || udp) && !config->anywhere)
		log_wrong_option(
		    "-i and -l do not apply to inherited sockets: use -a, "
		    "or run `systemctl edit portmap.socket`, as "
		    "portmap(7) shows");

	if (config->anywhere) {
		addrs[count++] = any;
	} else {
		addrs[count++] = lo[0];
		addrs[count++] = lo[1];
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
	if (!udp6)
		open_udp6(set, config->port, !config->anywhere, false);
	if (!config->anywhere && !udp)
		open_broadcasts(set, config);
	set_sharing(set, true);
	for (size_t i = 0; config->anywhere && i < 2; i++) {
		if (!tcp)
			open_inet(set, lo[i], config->port, SOCK_STREAM, true);
		if (!udp)
			open_inet(set, lo[i], config->port, SOCK_DGRAM, true);
	}
	if (config->anywhere && !udp6)
		open_udp6(set, config->port, true, true);
	set_sharing(set, false);
}

/*
 * The local socket, which has a path and an abstract name.
 */

static const struct sockaddr_un path = {
    .sun_family = AF_UNIX, .sun_path = PMAP_LOCAL_PATH};
static const struct sockaddr_un name = {
    .sun_family = AF_UNIX, .sun_path = "\0" PMAP_LOCAL_PATH};
/* of both: one has a NUL at its end, the other at its beginning */
static const socklen_t addr_len =
    offsetof(struct sockaddr_un, sun_path) + sizeof(PMAP_LOCAL_PATH);

static bool missing; /* the abstract name */

/* Connect to a local socket.  Return the connection, or -1 with errno. */
static int
connect_to(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd == -1)
		return (-1);
	if (connect(fd, (const struct sockaddr *)addr, addr_len) == 0)
		return (fd);
	error = errno;
	close(fd);
	errno = error;
	return (-1);
}

/*
 * Remove the socket file of an earlier daemon, which is stale if connect()
 * returns ECONNREFUSED.  Exit if a port mapper serves it.  Return 0 if there is
 * no file now, else -1 with errno.
 */
static int
remove_stale(void)
{
	struct stat st;

	if (lstat(PMAP_LOCAL_PATH, &st) == -1)
		return (errno == ENOENT ? 0 : -1);
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return (-1);
	}
	if (connect_to(&path) != -1 || errno == EAGAIN)
		log_fatal("another port mapper serves " PMAP_LOCAL_PATH
			  ": stop it first");
	return (errno == ECONNREFUSED ? unlink(PMAP_LOCAL_PATH) : -1);
}

/* Listen on a local socket.  Return 0, or -1 with errno. */
static int
open_unix(struct listen_socket *s, const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool may_pass;
	mode_t mask;
	int error;

	if (fd == -1)
		return (-1);
	may_pass = !refuse_fds(fd);
	mask = umask(0111); /* mode 0666: all users may connect */
	error = bind(fd, (const struct sockaddr *)addr, addr_len) == -1 ||
			listen(fd, BACKLOG) == -1
		    ? errno
		    : 0;
	umask(mask);
	if (error != 0) {
		close(fd);
		errno = error;
		return (-1);
	}
	*s = (struct listen_socket){fd, LISTEN_UNIX, may_pass};
	return (0);
}

/* Return true if a socket of this name was inherited. */
static bool
is_inherited(const struct listen_sockets *set, const struct sockaddr_un *addr)
{
	struct sockaddr_un own;
	socklen_t len;

	for (size_t i = 0; i < set->count; i++) {
		len = sizeof(own);
		if (set->sockets[i].kind == LISTEN_UNIX &&
		    getsockname(set->sockets[i].fd, (struct sockaddr *)&own,
			&len) == 0 &&
		    len == addr_len && memcmp(&own, addr, len) == 0)
			return (true);
	}
	return (false);
}

/* Log why the abstract name cannot be used, and which process has it. */
static void
warn_missing(int error)
{
	char holder[64] = "a process that does not listen";
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd;

	if (error != EADDRINUSE) {
		log_warning("cannot listen on @" PMAP_LOCAL_PATH
			    ": %s: trying again each second",
		    strerror(error));
		return;
	}
	if ((fd = connect_to(&name)) != -1) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
			snprintf(holder, sizeof(holder), "uid=%lu pid=%ld",
			    (unsigned long)cred.uid, (long)cred.pid);
		close(fd);
	} else if (errno == EAGAIN) {
		snprintf(
		    holder, sizeof(holder), "a process with a full backlog");
	}
	log_warning("cannot listen on @" PMAP_LOCAL_PATH
		    ": %s has this abstract name, and servers may register "
		    "there: stop it (`ss -xlp` shows it)",
	    holder);
}

/*
 * Open each of the two that was not inherited.  Without the path, do not try
 * the abstract name.
 */
static void
open_local(struct listen_sockets *set)
{
	struct listen_socket s;

	if (!is_inherited(set, &path)) {
		if (remove_stale() == -1 || open_unix(&s, &path) == -1) {
			log_warning("cannot listen on " PMAP_LOCAL_PATH
				    ": %s: servers of this host cannot "
				    "register there, and `rpcinfo -p` needs a "
				    "host; start as root",
			    strerror(errno));
			return;
		}
		add(set, &s);
	}
	if (is_inherited(set, &name))
		return;
	if (open_unix(&s, &name) == 0) {
		add(set, &s);
	} else {
		missing = true;
		warn_missing(errno);
	}
}

bool
listen_is_missing(void)
{
	return (missing);
}

bool
listen_retry(struct listen_socket *s)
{
	missing = open_unix(s, &name) == -1;
	return (!missing);
}

void
listen_open(const struct listen_config *config, struct listen_sockets *set)
{
	inherit(set, config->port);
	open_port(config, set);
	if (config->port == PMAP_PORT)
		open_local(set);
}
