/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling the doors apart by what the kernel says about a call's way in and by
 * nothing else.  Knows no rights.
 */
#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

enum {
	LO_INDEX = 1, /* in every network namespace, since Linux 2.6.26 */
};

static int privileged_fd = -1;

void
door_prepare(void)
{
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

/* IP_PKTOPTIONS has what IP_PKTINFO would say, if the socket was told to ask.
 */
static bool
ask_pktinfo(int fd, struct in_pktinfo *info)
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
	if ((found = door_pktinfo(&msg)) == NULL)
		return (false);
	*info = *found;
	return (true);
}

/*
 * How a connection came in.  One that was there before its listener was told to
 * ask, init's, is told now.
 */
static bool
meet_inet(int fd, struct peer *peer)
{
	const int yes = 1;
	struct in_pktinfo info;

	peer->door = DOOR_NETWORK;
	if (!ask_pktinfo(fd, &info) &&
	    (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) == -1 ||
		!ask_pktinfo(fd, &info)))
		return (false);
	peer->door = door_of(info.ipi_addr, info.ipi_ifindex);
	return (door_is_lo(info.ipi_ifindex));
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
