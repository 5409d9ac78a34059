/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to NETLINK_SOCK_DIAG, which the kernel answers synchronously. */
#include "sockdiag.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

enum {
	/* values of enum in the kernel's net/tcp_states.h */
	STATE_LISTEN = 1 << 10,
	STATE_BOUND_INACTIVE = 1 << 13,
	STATES_ALL = -1,
};

/*
 * A filter for one local port, in the bytecode of inet_diag: two comparisons,
 * each followed by its operand; a jump beyond the end rejects.
 */
struct port_filter {
	struct rtattr attr;
	struct inet_diag_bc_op ge, ge_port, le, le_port;
};

/*
 * The kernel looks into each of 65,536 chains for TCP sockets that are bound
 * and do not listen.  Only the older kind of request gets IPv4 and IPv6 from
 * one such walk, which halves the time; it does not know UDP.
 */
struct tcp_request {
	struct nlmsghdr nlh;
	struct inet_diag_req diag;
	struct port_filter filter;
};

/* without a filter */
struct plain_request {
	struct nlmsghdr nlh;
	struct inet_diag_req_v2 diag;
};

struct udp_request {
	struct plain_request plain;
	struct port_filter filter;
};

enum progress {
	MORE,
	DONE,
	FAILED
};

static int diag_fd = -1;
static uint32_t sequence;
static bool unfinished; /* a dump was not read to its end */

static int
send_request(const void *request, size_t len)
{
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	return (sendto(diag_fd, request, len, MSG_DONTWAIT,
		    (const struct sockaddr *)&kernel,
		    sizeof(kernel)) == (ssize_t)len
		    ? 0
		    : -1);
}

static struct nlmsghdr
dump_header(uint16_t type, size_t len)
{
	return ((struct nlmsghdr){.nlmsg_len = (uint32_t)len,
	    .nlmsg_type = type,
	    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
	    .nlmsg_seq = ++sequence});
}

static struct port_filter
filter(uint32_t port)
{
	struct port_filter f = {
	    .attr = {.rta_type = INET_DIAG_REQ_BYTECODE, .rta_len = sizeof(f)},
	    .ge = {INET_DIAG_BC_S_GE, 8, 20},
	    .ge_port = {0, 0, (uint16_t)port},
	    .le = {INET_DIAG_BC_S_LE, 8, 12},
	    .le_port = {0, 0, (uint16_t)port},
	};

	return (f);
}

/* Request a dump of the TCP sockets bound to one port. */
static int
request_tcp(uint32_t port)
{
	struct tcp_request r = {
	    .nlh = dump_header(TCPDIAG_GETSOCK, sizeof(r)),
	    .diag = {.idiag_states = STATE_LISTEN | STATE_BOUND_INACTIVE},
	    .filter = filter(port),
	};

	return (send_request(&r, sizeof(r)));
}

/* Request a dump of the UDP sockets of one family bound to one port. */
static int
request_udp(int family, uint32_t port)
{
	struct udp_request r = {
	    .plain = {.nlh = dump_header(SOCK_DIAG_BY_FAMILY, sizeof(r)),
		.diag = {.sdiag_family = (uint8_t)family,
		    .sdiag_protocol = IPPROTO_UDP,
		    .idiag_states = (uint32_t)STATES_ALL}},
	    .filter = filter(port),
	};

	return (send_request(&r, sizeof(r)));
}

/* Return true if IPv4 callers reach this socket. */
static bool
serves_ipv4(const struct nlmsghdr *nlh, const struct inet_diag_msg *msg)
{
	static const uint32_t any[4];
	int left = (int)NLMSG_PAYLOAD(nlh, sizeof(*msg));

	if (msg->idiag_family == AF_INET)
		return (true);
	if (memcmp(msg->id.idiag_src, any, sizeof(any)) != 0 &&
	    !IN6_IS_ADDR_V4MAPPED(
		(const struct in6_addr *)(const void *)msg->id.idiag_src))
		return (false);
	for (const struct rtattr *a = (const void *)(msg + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left))
		if (a->rta_type == INET_DIAG_SKV6ONLY)
			return (*(const uint8_t *)RTA_DATA(a) == 0);
	return (true);
}

/* The end of a dump can have an error. */
static bool
has_failed(const struct nlmsghdr *nlh)
{
	return (nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) &&
		*(const int *)NLMSG_DATA(nlh) < 0);
}

static enum progress
inspect(const struct nlmsghdr *nlh, uid_t user, struct sockdiag_port *found)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(nlh);

	if (nlh->nlmsg_seq != sequence)
		return (MORE); /* of an earlier request */
	if (nlh->nlmsg_type == NLMSG_DONE)
		return (has_failed(nlh) ? FAILED : DONE);
	if ((nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY &&
		nlh->nlmsg_type != TCPDIAG_GETSOCK) ||
	    (nlh->nlmsg_flags & NLM_F_DUMP_INTR) ||
	    nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)))
		return (FAILED);
	if (serves_ipv4(nlh, msg)) {
		found->state = PORT_BOUND;
		if (msg->idiag_uid == user)
			found->of_user = true;
		if (msg->idiag_uid < found->lowest)
			found->lowest = msg->idiag_uid;
	}
	return (MORE);
}

/*
 * Read one dump to its end, and add what it has.  Return 0, or -1 if it is not
 * complete.
 */
static int
read_dump(uid_t user, struct sockdiag_port *found)
{
	static union {
		struct nlmsghdr align;
		char bytes[32768];
	} buf;
	enum progress progress = MORE;

	while (progress == MORE) {
		ssize_t n =
		    recv(diag_fd, &buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		size_t left = (size_t)n;

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0 || left > sizeof(buf))
			return (-1);
		for (const struct nlmsghdr *nlh = (const void *)buf.bytes;
		     progress == MORE && NLMSG_OK(nlh, left);
		     nlh = NLMSG_NEXT(nlh, left))
			progress = inspect(nlh, user, found);
	}
	return (progress == DONE ? 0 : -1);
}

/* The kernel begins no dump before the previous one is read. */
static void
discard(void)
{
	char byte;

	while (recv(diag_fd, &byte, 1, MSG_DONTWAIT) > 0)
		;
	unfinished = false;
}

struct sockdiag_port
sockdiag_dump(uint32_t prot, uint32_t port, uid_t user)
{
	struct sockdiag_port found = {PORT_UNKNOWN, false, UID_UNKNOWN};

	if (diag_fd == -1)
		return (found);
	if (unfinished)
		discard();
	found.state = PORT_FREE;
	unfinished =
	    prot == IPPROTO_TCP
		? request_tcp(port) || read_dump(user, &found)
		: request_udp(AF_INET, port) || read_dump(user, &found) ||
		      request_udp(AF_INET6, port) || read_dump(user, &found);
	if (unfinished)
		found.state = PORT_UNKNOWN;
	return (found);
}

/*
 * Return true if the kernel has udp_diag or tcp_diag; without these, the lookup
 * of one socket fails as for a free port.  No socket is in no state, so this
 * dump is short.
 */
static bool
can_dump(uint32_t prot)
{
	struct sockdiag_port none = {0};
	struct plain_request r = {
	    .nlh = dump_header(SOCK_DIAG_BY_FAMILY, sizeof(r)),
	    .diag = {.sdiag_family = AF_INET, .sdiag_protocol = (uint8_t)prot},
	};

	return (send_request(&r, sizeof(r)) == 0 && read_dump(0, &none) == 0);
}

int
sockdiag_open(void)
{
	diag_fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (diag_fd == -1)
		return (-1);
	if (can_dump(IPPROTO_UDP) && can_dump(IPPROTO_TCP))
		return (0);
	close(diag_fd);
	diag_fd = -1;
	errno = EPROTONOSUPPORT;
	return (-1);
}

/*
 * Look up one socket by both of its ends, in network byte order.  Return its
 * message, or NULL; *state is PORT_FREE if there is none.
 */
static const struct inet_diag_msg *
lookup(uint32_t prot, const struct sockaddr_in *local,
    const struct sockaddr_in *remote, int ifindex, enum port_state *state)
{
	/* for UDP the kernel takes them the other way round: udp_dump_one() */
	const struct sockaddr_in *src = prot == IPPROTO_UDP ? remote : local;
	const struct sockaddr_in *dst = prot == IPPROTO_UDP ? local : remote;
	static union {
		struct nlmsghdr nlh;
		char bytes[4096];
	} buf;
	struct plain_request r = {
	    .nlh = {.nlmsg_len = sizeof(r),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST},
	    .diag = {.sdiag_family = AF_INET,
		.sdiag_protocol = (uint8_t)prot,
		.idiag_states = (uint32_t)STATES_ALL,
		.id = {.idiag_sport = src->sin_port,
		    .idiag_dport = dst->sin_port,
		    .idiag_src = {src->sin_addr.s_addr},
		    .idiag_dst = {dst->sin_addr.s_addr},
		    .idiag_if = (uint32_t)ifindex,
		    .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
	};
	ssize_t n;

	*state = PORT_UNKNOWN;
	if (diag_fd == -1)
		return (NULL);
	if (unfinished)
		discard();
	r.nlh.nlmsg_seq = ++sequence;
	if (send_request(&r, sizeof(r)) == -1)
		return (NULL);
	do {
		n = recv(diag_fd, &buf, sizeof(buf), MSG_DONTWAIT);
		if (n < (ssize_t)sizeof(buf.nlh) &&
		    !(n == -1 && errno == EINTR))
			return (NULL);
	} while (n == -1 || buf.nlh.nlmsg_seq != sequence);
	if (buf.nlh.nlmsg_type == NLMSG_ERROR &&
	    ((const struct nlmsgerr *)NLMSG_DATA(&buf.nlh))->error == -ENOENT)
		*state = PORT_FREE;
	if (buf.nlh.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    (size_t)n < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return (NULL);
	*state = PORT_BOUND;
	return (NLMSG_DATA(&buf.nlh));
}

enum port_state
sockdiag_exact(
    uint32_t prot, struct in_addr addr, int ifindex, uint32_t port, uid_t *uid)
{
	const struct sockaddr_in local = {
	    .sin_port = htons((in_port_t)port), .sin_addr = addr};
	static const struct sockaddr_in remote;
	const struct inet_diag_msg *msg;
	enum port_state state;

	*uid = UID_UNKNOWN;
	if ((msg = lookup(prot, &local, &remote, ifindex, &state)) != NULL)
		*uid = msg->idiag_uid;
	return (state);
}

bool
sockdiag_caller(
    uint32_t prot, const struct sockaddr_in *from, in_port_t port, uid_t *uid)
{
	const struct sockaddr_in remote = {
	    .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	enum port_state state;
	const struct inet_diag_msg *msg =
	    lookup(prot, from, &remote, 0, &state);

	/* a socket without inode is closed, and its uid is not known */
	if (msg == NULL || msg->idiag_inode == 0)
		return (false);
	*uid = msg->idiag_uid;
	return (true);
}
