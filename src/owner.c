/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to NETLINK_SOCK_DIAG.  The kernel answers at once or not at all,
 * so this never waits.  Whatever goes wrong, the answer is "not known", and
 * never "nobody".
 */
#include "owner.h"

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
 * A filter for one local port, in the little language of inet_diag: two
 * comparisons, each followed by its operand; a jump beyond the end rejects.
 */
struct port_filter {
	struct inet_diag_bc_op ge, ge_port, le, le_port;
};

struct request {
	struct nlmsghdr nlh;
	struct inet_diag_req_v2 diag;
	struct rtattr attr;
	struct port_filter filter;
};

/* What is looked for, and what was found. */
struct search {
	uid_t uid;
	bool found;     /* any socket */
	bool found_uid; /* one of uid */
	uid_t holder;   /* the lowest uid of those that were found */
	uint8_t *ports; /* a bit for each that was found, or NULL */
};

enum progress {
	GOES_ON,
	DONE,
	FAILED
};

static int diag_fd = -1;
static uint32_t sequence;
static bool unfinished; /* an answer was not read to its end */

int
owner_open(void)
{
	diag_fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	return (diag_fd == -1 ? -1 : 0);
}

void
owner_close(void)
{
	if (diag_fd != -1)
		close(diag_fd);
	diag_fd = -1;
}

/* Ask for the sockets bound to one port, or, for port 0, for all. */
static int
ask(int family, uint32_t prot, uint32_t port)
{
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct request r = {
	    .nlh = {.nlmsg_len = sizeof(r),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.nlmsg_seq = ++sequence},
	    .diag = {.sdiag_family = (uint8_t)family,
		.sdiag_protocol = (uint8_t)prot,
		.idiag_states = prot == IPPROTO_TCP
				    ? STATE_LISTEN | STATE_BOUND_INACTIVE
				    : (uint32_t)STATES_ALL},
	    .attr = {.rta_type = INET_DIAG_REQ_BYTECODE,
		.rta_len = RTA_LENGTH(sizeof(r.filter))},
	    .filter = {.ge = {INET_DIAG_BC_S_GE, 8, 20},
		.ge_port = {0, 0, (uint16_t)port},
		.le = {INET_DIAG_BC_S_LE, 8, 12},
		.le_port = {0, 0, (uint16_t)port}},
	};

	if (port == 0) /* all of them */
		r.nlh.nlmsg_len = offsetof(struct request, attr);
	return (sendto(diag_fd, &r, r.nlh.nlmsg_len, MSG_DONTWAIT,
		    (const struct sockaddr *)&kernel,
		    sizeof(kernel)) == (ssize_t)r.nlh.nlmsg_len
		    ? 0
		    : -1);
}

/* Can an IPv4 caller reach this socket? */
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

static enum progress
look_at(const struct nlmsghdr *nlh, struct search *s)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(nlh);

	if (nlh->nlmsg_seq != sequence)
		return (GOES_ON); /* a leftover */
	if (nlh->nlmsg_type == NLMSG_DONE)
		return (DONE);
	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    (nlh->nlmsg_flags & NLM_F_DUMP_INTR) ||
	    nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)))
		return (FAILED);
	if (serves_ipv4(nlh, msg)) {
		unsigned port = ntohs(msg->id.idiag_sport);

		s->found = true;
		if (s->ports != NULL)
			s->ports[port / 8] |= (uint8_t)(1 << port % 8);
		if (msg->idiag_uid == s->uid)
			s->found_uid = true;
		if (msg->idiag_uid < s->holder)
			s->holder = msg->idiag_uid;
	}
	return (GOES_ON);
}

/* Read one dump to its end: 0, or -1 when it cannot be trusted. */
static int
hear(struct search *s)
{
	static union {
		struct nlmsghdr align;
		char bytes[32768];
	} buf;
	enum progress progress = GOES_ON;

	while (progress == GOES_ON) {
		ssize_t n =
		    recv(diag_fd, &buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		size_t left = (size_t)n;

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0 || left > sizeof(buf))
			return (-1);
		for (const struct nlmsghdr *nlh = (const void *)buf.bytes;
		     progress == GOES_ON && NLMSG_OK(nlh, left);
		     nlh = NLMSG_NEXT(nlh, left))
			progress = look_at(nlh, s);
	}
	return (progress == DONE ? 0 : -1);
}

/* While one answer is unfinished the kernel begins no other. */
static void
discard(void)
{
	char byte;

	while (recv(diag_fd, &byte, 1, MSG_DONTWAIT) > 0)
		;
	unfinished = false;
}

static enum bound
search(uint32_t prot, uint32_t port, struct search *s)
{
	static const int families[] = {AF_INET, AF_INET6};

	if (diag_fd == -1)
		return (BOUND_UNKNOWN);
	if (unfinished)
		discard();
	for (size_t i = 0; i < 2; i++) {
		if (ask(families[i], prot, port) == -1 || hear(s) == -1) {
			unfinished = true;
			return (BOUND_UNKNOWN);
		}
	}
	return (s->found ? BOUND_YES : BOUND_NO);
}

enum bound
owner_bound(uint32_t prot, uint32_t port)
{
	struct search s = {.uid = OWNER_NONE};

	return (search(prot, port, &s));
}

enum bound
owner_holder(uint32_t prot, uint32_t port, uid_t *uid)
{
	struct search s = {.uid = OWNER_NONE, .holder = OWNER_NONE};
	enum bound bound = search(prot, port, &s);

	*uid = s.holder;
	return (bound);
}

bool
owner_holds(uint32_t prot, uint32_t port, uid_t uid)
{
	struct search s = {.uid = uid};

	return (search(prot, port, &s) == BOUND_YES && s.found_uid);
}

/* Which of the two protocols of a survey. */
static size_t
half(uint32_t prot)
{
	return (prot == IPPROTO_TCP ? 0 : 1);
}

void
owner_survey(struct owner_survey *survey)
{
	memset(survey, 0, sizeof(*survey));
	for (size_t i = 0; i < PMAP_PROTS; i++) {
		uint32_t prot = pmap_prots[i];
		struct search s = {.ports = survey->ports[half(prot)]};

		survey->known[half(prot)] =
		    search(prot, 0, &s) != BOUND_UNKNOWN;
	}
}

enum bound
owner_survey_bound(
    const struct owner_survey *survey, uint32_t prot, uint32_t port)
{
	if (!survey->known[half(prot)])
		return (BOUND_UNKNOWN);
	return ((survey->ports[half(prot)][port / 8] >> port % 8) & 1
		    ? BOUND_YES
		    : BOUND_NO);
}
