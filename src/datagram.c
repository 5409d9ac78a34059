/* SPDX-License-Identifier: BSD-2-Clause */
#include "datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "debt.h"
#include "log.h"
#include "loop.h"
#include "peer.h"
#include "transport.h"

enum {
	RING = 32, /* datagrams received at once */
	BATCH = 8, /* replies sent at once, while others wait for delivery */
	RING_SLOW_US = 10000, /* others are promised 100 ms */
	RINGS_MEASURED = 16,
	ONE_BY_ONE_MS = 10000,
	UDP_MAX = 65507, /* bytes of the longest IPv4 datagram */
};
_Static_assert(UDP_MAX <= (int)TRANSPORT_REPLIES, "the longest reply fits");
_Static_assert(TRANSPORT_REPLIES % 8 == 0, "replies are aligned to 8 bytes");

struct datagram {
	struct transport t; /* first */
	const struct addrfilt *acl;
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* The calls that on_readable() received, on whatever socket. */
static struct {
	struct mmsghdr msgs[RING];
	struct iovec iovs[RING];
	struct sockaddr_in6 from[RING]; /* or a sockaddr_in */
	union control control[RING];
	/* one byte more than a call may have, to detect longer ones */
	uint8_t bytes[RING][(WIRE_RECORD_MAX + 1 + 7) & ~7];
} in;

/* Their replies, as sendmmsg(2) takes them. */
static struct {
	unsigned count;
	size_t used; /* bytes of transport_replies */
	struct mmsghdr msgs[RING];
	struct iovec iovs[RING];
	struct peer peers[RING]; /* who gets them */
} out;

/* The datagram that is being served. */
static struct msghdr *current;

/*
 * A caller can make each reply take milliseconds, and have another port for
 * each call, so that no debt is ever due.  After a ring that took long, and
 * another of the next 16 that took long by CPU time, datagrams are received one
 * by one for ten seconds: then others have a turn between them.
 */
static unsigned rings_to_measure;
static int64_t one_by_one_until; /* ms */

/* Note how long a ring took, in us. */
static void
note_ring(bool cpu, int64_t us)
{
	if (us > RING_SLOW_US) {
		if (cpu)
			one_by_one_until = loop_now() + ONE_BY_ONE_MS;
		rings_to_measure = RINGS_MEASURED;
	} else if (rings_to_measure > 0) {
		rings_to_measure--;
	}
}

/* Receive up to `most` datagrams, and return how many. */
static unsigned
receive(int fd, unsigned most)
{
	int n;

	for (unsigned i = 0; i < most; i++) {
		in.iovs[i] = (struct iovec){in.bytes[i], WIRE_RECORD_MAX + 1};
		in.msgs[i].msg_hdr = (struct msghdr){
		    .msg_name = &in.from[i],
		    .msg_namelen = sizeof(in.from[i]),
		    .msg_iov = &in.iovs[i],
		    .msg_iovlen = 1,
		    .msg_control = &in.control[i],
		    .msg_controllen = sizeof(in.control[i]),
		};
	}
	do {
		n = recvmmsg(fd, in.msgs, most, MSG_DONTWAIT, NULL);
	} while (n == -1 && errno == EINTR);
	return (n > 0 ? (unsigned)n : 0);
}

/*
 * Return how many replies, from the i-th on, one system call sends: few,
 * because delivery may take long, and only one if it is a suspect's, who is to
 * be charged for it.
 */
static unsigned
batch_at(unsigned i)
{
	unsigned left = out.count - i, most = left < BATCH ? left : BATCH;

	for (unsigned n = 0; n < most; n++)
		if (debt_is_suspect(&out.peers[i + n]))
			return (n == 0 ? 1 : n);
	return (most);
}

static void
send_batch(int fd, unsigned begin, unsigned count)
{
	struct peer *only = count == 1 ? &out.peers[begin] : NULL;
	size_t bytes = 0;
	unsigned sent = 0;

	if (debt_until(only) != 0) {
		counters.in_debt++; /* but not yet when the call was served */
		return;
	}
	for (unsigned i = begin; i < begin + count; i++)
		bytes += out.iovs[i].iov_len;
	debt_begin(only);
	while (sent < count) {
		int n = sendmmsg(fd, out.msgs + begin + sent, count - sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (unsigned)n;
		} else if (errno != EINTR) {
			sent++; /* an unreachable address, for example */
			counters.lost++;
		}
	}
	if (debt_end(only, count, bytes) && only == NULL)
		for (unsigned i = begin; i < begin + count; i++)
			debt_suspect(&out.peers[i]);
}

static void
send_replies(int fd)
{
	unsigned n;

	for (unsigned i = 0; i < out.count; i += n) {
		n = batch_at(i);
		send_batch(fd, i, n);
	}
	out.count = 0;
	out.used = 0;
}

/* Do what identify() does, for IPv6. */
static bool
identify_ipv6(struct call *call, struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct in6_pktinfo *info;

	if (c == NULL || c->cmsg_level != IPPROTO_IPV6 ||
	    c->cmsg_type != IPV6_PKTINFO)
		return (false);
	info = (struct in6_pktinfo *)(void *)CMSG_DATA(c);
	memcpy(&call->peer.from6, msg->msg_name, sizeof(call->peer.from6));
	/* a reply to :: would go to ::1 */
	if (IN6_IS_ADDR_UNSPECIFIED(&call->peer.from6.sin6_addr))
		return (false);
	call->peer.origin = ORIGIN_IPV6;
	call->peer.uid = UID_UNKNOWN;
	call->peer.prot = IPPROTO_UDP;
	call->ifindex = (int)info->ipi6_ifindex;
	call->broadcast = IN6_IS_ADDR_MULTICAST(&info->ipi6_addr);
	if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
		info->ipi6_ifindex = 0;
	return (true);
}

/*
 * Fill in the caller and the destination.  Return false if the kernel does not
 * report them.  For a datagram received before IP_PKTINFO was set, the
 * interface and ipi_spec_dst are 0: it counts as a broadcast from the network.
 */
static bool
identify(struct call *call, struct msghdr *msg)
{
	struct in_pktinfo *info = peer_pktinfo(msg);

	call->datagram = true;
	if (msg->msg_namelen == sizeof(call->peer.from6))
		return (identify_ipv6(call, msg));
	if (msg->msg_namelen != sizeof(call->peer.from) || info == NULL)
		return (false);
	memcpy(&call->peer.from, msg->msg_name, sizeof(call->peer.from));
	call->peer.uid = UID_UNKNOWN;
	call->peer.prot = IPPROTO_UDP;
	call->peer.origin = peer_origin(info->ipi_addr, info->ipi_ifindex);
	call->peer.to = info->ipi_addr;
	call->ifindex = info->ipi_ifindex;
	call->local_addr = info->ipi_spec_dst;
	call->broadcast = info->ipi_addr.s_addr != info->ipi_spec_dst.s_addr;
	/* the reply leaves from that address, by any interface */
	info->ipi_ifindex = 0;
	return (true);
}

static void
serve(struct datagram *d, struct mmsghdr *m)
{
	struct call *call = &d->t.call;

	if (!identify(call, &m->msg_hdr)) {
		counters.badcalls++;
		return;
	}
	if (!transport_allows(d->acl, &call->peer, peer_is_lo(call->ifindex)))
		return;
	if (debt_until(&call->peer) != 0) {
		counters.in_debt++;
		return;
	}
	if (m->msg_len > WIRE_RECORD_MAX) {
		transport_badcall(call, "length");
		return;
	}
	current = &m->msg_hdr;
	transport_serve(&d->t, current->msg_iov->iov_base, m->msg_len);
}

static void
on_readable(void *arg)
{
	struct datagram *d = arg;
	unsigned most, n;

	do {
		bool cpu = rings_to_measure > 0;
		int64_t began = loop_clock_of(cpu);

		most = loop_now() < one_by_one_until ? 1 : RING;
		n = receive(d->t.xprt.xp_fd, most);
		for (unsigned i = 0; i < n; i++)
			serve(d, &in.msgs[i]);
		send_replies(d->t.xprt.xp_fd);
		note_ring(cpu, loop_clock_of(cpu) - began);
	} while (n == most && !loop_over_budget());
}

/*
 * Encode after the replies in the buffer, or send these first if there is no
 * room.  A reply to the network is at most as long as its call.
 */
static size_t
encode(struct transport *t, struct rpc_msg *reply)
{
	size_t limit =
	    t->call.peer.origin == ORIGIN_LOOPBACK ? UDP_MAX : t->call.len;
	size_t room = sizeof(transport_replies) - out.used;
	size_t len = transport_encode(t, reply, transport_replies + out.used,
	    room < limit ? room : limit);

	if (len == 0 && room < limit) {
		send_replies(t->xprt.xp_fd);
		len = transport_encode(t, reply, transport_replies, limit);
	}
	return (len);
}

static bool_t
on_reply(SVCXPRT *xprt, struct rpc_msg *reply)
{
	struct transport *t = transport_of(xprt);
	size_t len;

	/* a broadcast gets no error replies */
	if (t->call.broadcast && !transport_succeeds(reply))
		return (TRUE);
	if ((len = encode(t, reply)) == 0) {
		if (!transport_succeeds(reply))
			return (FALSE);
		counters.too_long++;
		svcerr_systemerr(xprt);
		return (FALSE);
	}
	out.iovs[out.count] = (struct iovec){transport_replies + out.used, len};
	out.msgs[out.count].msg_hdr = *current;
	out.msgs[out.count].msg_hdr.msg_iov = &out.iovs[out.count];
	out.peers[out.count] = t->call.peer;
	out.count++;
	out.used += (len + 7) & ~(size_t)7;
	return (TRUE);
}

SVCXPRT *
datagram_serve(int fd, const struct addrfilt *acl)
{
	struct datagram *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return (NULL);
	if (transport_register(&d->t, fd, on_reply) == -1) {
		free(d);
		return (NULL);
	}
	d->acl = acl;
	loop_watch(fd, on_readable, NULL, d);
	loop_share(fd);
	return (&d->t.xprt);
}

int
datagram_send(int fd, struct in_addr from, const struct sockaddr_in *to,
    const void *bytes, size_t len)
{
	struct sockaddr_in dest = *to;
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	union control control;
	struct msghdr msg = {.msg_name = &dest,
	    .msg_namelen = sizeof(dest),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    /* no more, which is invalid in a program of 32 bits */
	    .msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo))};

	/* an initialiser may leave the padding of a union unset: gcc 15 */
	memset(&control, 0, sizeof(control));
	control.align.cmsg_level = IPPROTO_IP;
	control.align.cmsg_type = IP_PKTINFO;
	control.align.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	peer_pktinfo(&msg)->ipi_spec_dst = from;
	return (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -1 : 0);
}
