/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to NETLINK_SOCK_DIAG, which the kernel answers synchronously. */
#include "sockdiag.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

enum {
	/* values of enum in the kernel's net/tcp_states.h */
	STATE_CLOSE = 1 << 7, /* of UDP: not connected */
	STATE_LISTEN = 1 << 10,
	STATE_BOUND_INACTIVE = 1 << 13
};

struct request {
	struct nlmsghdr nlh;
	struct inet_diag_req_v2 diag;
	/* of a dump only: one port, as a program of two comparisons */
	struct nlattr filter;
	struct inet_diag_bc_op ops[4];
};

static int diag_fd = -1;
static uint32_t sequence;
static bool dumping; /* a dump has not been read to its end */

static union {
	struct nlmsghdr nlh;
	char bytes[32768];
} reply;

/* Receive messages about the last request.  Return their bytes, or 0. */
static size_t
receive(void)
{
	ssize_t n;

	do {
		n = recv(
		    diag_fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_TRUNC);
		if (n == -1 && errno == EINTR)
			continue;
		if (n < (ssize_t)sizeof(reply.nlh) ||
		    n > (ssize_t)sizeof(reply))
			return (0);
	} while (n == -1 || reply.nlh.nlmsg_seq != sequence);
	return ((size_t)n);
}

/* The kernel begins no dump before the previous one is read. */
static void
discard(void)
{
	while (recv(diag_fd, &reply, sizeof(reply), MSG_DONTWAIT) > 0)
		;
	dumping = false;
}

/* Send a request, and receive the first messages about it, as receive(). */
static size_t
ask(struct request *r, uint16_t flags)
{
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	r->nlh = (struct nlmsghdr){
	    .nlmsg_len = flags & NLM_F_DUMP ? sizeof(*r)
					    : offsetof(struct request, filter),
	    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
	    .nlmsg_flags = NLM_F_REQUEST | flags,
	    .nlmsg_seq = ++sequence};
	if (diag_fd == -1)
		return (0);
	if (dumping)
		discard();
	if (sendto(diag_fd, r, r->nlh.nlmsg_len, MSG_DONTWAIT,
		(const struct sockaddr *)&kernel, sizeof(kernel)) == -1)
		return (0);
	dumping = (flags & NLM_F_DUMP) != 0;
	return (receive());
}

/* Return the error in a message, 0 if there is none, or EPROTO. */
static int
error_of(struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(int)))
		return (EPROTO);
	return (-*(const int *)NLMSG_DATA(nlh));
}

/* Return the socket in a message, or NULL. */
static const struct inet_diag_msg *
socket_of(struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return (NULL);
	return (NLMSG_DATA(nlh));
}

/*
 * Dump the sockets of one family and port that are in these states.  The kernel
 * looks at all sockets for the first message, so it misses none unless they do
 * not fit: then they could be closed while it waits for us.
 */
static int
dump_family(uint8_t family, uint32_t prot, uint32_t port, uint32_t states,
    void (*found)(uid_t uid, void *arg), void *arg)
{
	enum {
		OP = sizeof(struct inet_diag_bc_op),
		REJECT = 4 /* to jump beyond the end */
	};
	struct request r = {.diag = {.sdiag_family = family,
				.sdiag_protocol = (uint8_t)prot,
				.idiag_states = states},
	    .filter = {sizeof(r.filter) + sizeof(r.ops),
		INET_DIAG_REQ_BYTECODE},
	    /* the value of a comparison is in the next one */
	    .ops = {{INET_DIAG_BC_S_GE, 2 * OP, 4 * OP + REJECT},
		{.no = (uint16_t)port},
		{INET_DIAG_BC_S_LE, 2 * OP, 2 * OP + REJECT},
		{.no = (uint16_t)port}}};
	const struct inet_diag_msg *msg;
	bool first = true;
	struct nlmsghdr *nlh;

	errno = EPROTO;
	for (size_t left = ask(&r, NLM_F_DUMP); left > 0; left = receive()) {
		for (nlh = &reply.nlh; NLMSG_OK(nlh, left);
		     nlh = NLMSG_NEXT(nlh, left)) {
			if (nlh->nlmsg_type == NLMSG_DONE) {
				dumping = false;
				errno = error_of(nlh);
				return (errno == 0 ? 0 : -1);
			}
			if (!first)
				errno = EOVERFLOW;
			if (!first || (msg = socket_of(nlh)) == NULL ||
			    (nlh->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
				return (-1);
			found(msg->idiag_uid, arg);
		}
		first = false;
	}
	return (-1);
}

int
sockdiag_dump(uint32_t prot, uint32_t port, bool also_bound,
    void (*found)(uid_t uid, void *arg), void *arg)
{
	uint32_t states = STATE_CLOSE;

	if (diag_fd == -1) {
		errno = EBADF;
		return (-1);
	}
	if (prot == IPPROTO_TCP)
		states = STATE_LISTEN | (also_bound ? STATE_BOUND_INACTIVE : 0);
	if (dump_family(AF_INET, prot, port, states, found, arg) == -1)
		return (-1);
	return (dump_family(AF_INET6, prot, port, states, found, arg));
}

static void
ignore(uid_t uid, void *arg)
{
	(void)uid;
	(void)arg;
}

int
sockdiag_open(void)
{
	diag_fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (diag_fd == -1)
		return (-1);
	/*
	 * Without the kernel's udp_diag or tcp_diag, a lookup fails as for a
	 * free port, and a dump with an error.
	 */
	if (dump_family(AF_INET, IPPROTO_UDP, 0, 0, ignore, NULL) == 0 &&
	    dump_family(AF_INET, IPPROTO_TCP, 0, 0, ignore, NULL) == 0)
		return (0);
	close(diag_fd);
	diag_fd = -1;
	errno = EPROTONOSUPPORT;
	return (-1);
}

/*
 * Look up one socket by both of its ends, in network byte order.  Return it, or
 * NULL; *state is PORT_FREE if there is none.
 */
static const struct inet_diag_msg *
lookup(uint32_t prot, const struct sockaddr_in *local,
    const struct sockaddr_in *remote, int ifindex, enum port_state *state)
{
	/* for UDP the kernel takes them the other way round: udp_dump_one() */
	const struct sockaddr_in *src = prot == IPPROTO_UDP ? remote : local;
	const struct sockaddr_in *dst = prot == IPPROTO_UDP ? local : remote;
	struct request r = {
	    .diag = {.sdiag_family = AF_INET,
		.sdiag_protocol = (uint8_t)prot,
		.idiag_states = ~0u,
		.id = {.idiag_sport = src->sin_port,
		    .idiag_dport = dst->sin_port,
		    .idiag_src = {src->sin_addr.s_addr},
		    .idiag_dst = {dst->sin_addr.s_addr},
		    .idiag_if = (uint32_t)ifindex,
		    .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
	};
	struct nlmsghdr *nlh = &reply.nlh;
	const struct inet_diag_msg *msg;
	size_t len = ask(&r, 0);

	*state = PORT_UNKNOWN;
	if (!NLMSG_OK(nlh, len))
		return (NULL);
	if (nlh->nlmsg_type == NLMSG_ERROR && error_of(nlh) == ENOENT)
		*state = PORT_FREE;
	if ((msg = socket_of(nlh)) != NULL)
		*state = PORT_BOUND;
	return (msg);
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

/*
 * Return true if nobody but the owner of this socket can have sent from its
 * port while it was open: it is connected to our port, or a UDP socket that is
 * bound to all addresses.  In place of a TCP socket, the kernel may have found
 * somebody's listener; and others can bind a UDP port of another address, and
 * send from this one by IP_PKTINFO.
 */
static bool
may_have_sent(uint32_t prot, const struct inet_diag_msg *msg, in_port_t port)
{
	static const uint32_t any[4];

	return (msg->id.idiag_dport == htons(port) ||
		(prot == IPPROTO_UDP &&
		    memcmp(msg->id.idiag_src, any, sizeof(any)) == 0));
}

uid_t
sockdiag_caller(uint32_t prot, const struct sockaddr_in *from,
    struct in_addr to, in_port_t port, int ifindex)
{
	const struct sockaddr_in remote = {
	    .sin_port = htons(port), .sin_addr = to};
	enum port_state state;
	const struct inet_diag_msg *msg =
	    lookup(prot, from, &remote, ifindex, &state);

	/* a socket without inode is closed, and its uid is not known */
	if (msg == NULL || msg->idiag_inode == 0 ||
	    !may_have_sent(prot, msg, port))
		return (UID_UNKNOWN);
	return (msg->idiag_uid);
}
