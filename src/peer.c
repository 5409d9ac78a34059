/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "decimal.h"
#include "log.h"
#include "sockdiag.h"

static int privileged_fd = -1;
static in_port_t own_port;

void
peer_open(in_port_t port)
{
	own_port = port;
	privileged_fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start",
	    O_RDONLY | O_CLOEXEC);
	if (privileged_fd == -1)
		log_warning(
		    "cannot read net.ipv4.ip_unprivileged_port_start: "
		    "%s: no loopback caller counts as root; mount /proc",
		    strerror(errno));
}

unsigned
peer_privileged_ports(void)
{
	char text[16];
	uint32_t port;
	ssize_t n = -1;

	if (privileged_fd != -1)
		n = pread(privileged_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return (0);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return (decimal_parse_all(text, PORT_MAX, &port) ? port : 0);
}

/*
 * Return true while a TCP connection has its other end.  Once that is gone, for
 * example by a reset, another socket can have the same addresses and ports.
 */
static bool
is_connected(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
		(info.tcpi_state == TCP_ESTABLISHED ||
		    info.tcpi_state == TCP_CLOSE_WAIT));
}

uid_t
peer_socket_uid(const struct peer *peer)
{
	uid_t uid = sockdiag_caller(
	    peer->prot, &peer->from, peer->to, own_port, PEER_LO);

	/* after the lookup, or it could be of the next socket */
	if (peer->prot == IPPROTO_TCP && !is_connected(peer->fd))
		return (UID_UNKNOWN);
	return (uid);
}

bool
peer_is_lo(int ifindex)
{
	return (ifindex == PEER_LO);
}

enum origin
peer_origin(struct in_addr to, int ifindex)
{
	return (pmap_is_127(to) && peer_is_lo(ifindex) ? ORIGIN_LOOPBACK
						       : ORIGIN_NETWORK);
}

struct in_pktinfo *
peer_pktinfo(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo)))
			return ((struct in_pktinfo *)(void *)CMSG_DATA(c));
	return (NULL);
}

/* Get the IP_PKTINFO of a TCP connection by IP_PKTOPTIONS. */
static bool
get_pktinfo(int fd, struct in_pktinfo *info)
{
	union {
		struct cmsghdr align;
		char bytes[256];
	} buf;
	socklen_t len = sizeof(buf);
	struct msghdr msg = {.msg_control = &buf};
	const struct in_pktinfo *found;

	if (getsockopt(fd, IPPROTO_IP, IP_PKTOPTIONS, &buf, &len) == -1)
		return (false);
	msg.msg_controllen = len;
	if ((found = peer_pktinfo(&msg)) == NULL)
		return (false);
	*info = *found;
	return (true);
}

bool
peer_identify_tcp(int fd, struct peer *peer)
{
	const int yes = 1;
	struct in_pktinfo info;

	peer->origin = ORIGIN_NETWORK;
	peer->uid = UID_UNKNOWN;
	peer->prot = IPPROTO_TCP;
	peer->fd = fd;
	/* a connection older than this process has no IP_PKTINFO set yet */
	if (!get_pktinfo(fd, &info) &&
	    (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) == -1 ||
		!get_pktinfo(fd, &info)))
		return (false);
	peer->origin = peer_origin(info.ipi_addr, info.ipi_ifindex);
	peer->to = info.ipi_addr;
	return (peer_is_lo(info.ipi_ifindex));
}

void
peer_identify_local(int fd, struct peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	peer->origin = ORIGIN_LOCAL;
	peer->uid = UID_UNKNOWN;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		peer->uid = cred.uid;
		peer->pid = cred.pid;
	}
}
