/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams under libtirpc's svc layer.  svc_getreq_common() asks xp_recv for
 * one call after the other while xp_stat says that there are more, so a turn
 * is: fill the ring, answer each of it into transport_answers, send all.
 * Never waits: what the socket does not take at once is lost, as datagrams
 * are.
 */
#include "datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door.h"
#include "loop.h"
#include "stats.h"
#include "transport.h"
#include "wire.h"

enum {
	RING = 32,        /* datagrams read, and answers sent, at once */
	RINGS_A_TURN = 4, /* then the other doors have their turn */
	UDP_MAX = 65507,  /* the longest datagram that IPv4 can carry */
};

struct datagram {
	struct transport t; /* first */
	const struct nets *guests;
	struct datagram *next; /* of all that are served */
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* The datagrams of this turn; one ring serves all sockets in turn. */
static struct {
	unsigned count, next, rings;
	struct mmsghdr msgs[RING];
	struct iovec iovs[RING];
	struct sockaddr_in from[RING];
	union control control[RING];
	/* one byte more than is served, to know what was longer */
	uint8_t bytes[RING][(WIRE_RECORD_MAX + 1 + 7) & ~7];
} in;

/* The answers of this turn, as sendmmsg() takes them. */
static struct {
	unsigned count;
	size_t used; /* of transport_answers */
	struct mmsghdr msgs[RING];
	struct iovec iovs[RING];
} out;

static struct datagram *served;

static void
send_answers(int fd)
{
	unsigned sent = 0;

	while (sent < out.count) {
		int n = sendmmsg(fd, out.msgs + sent, out.count - sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (unsigned)n;
		} else if (errno != EINTR) {
			sent++; /* an address that cannot be reached, say */
			stats.lost++;
		}
	}
	out.count = 0;
	out.used = 0;
}

static void
fill_ring(int fd)
{
	int n;

	for (unsigned i = 0; i < RING; i++) {
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
		n = recvmmsg(fd, in.msgs, RING, MSG_DONTWAIT, NULL);
	} while (n == -1 && errno == EINTR);
	in.count = n > 0 ? (unsigned)n : 0;
	in.next = 0;
	in.rings++;
}

/*
 * Who sent it, and where to: false when the kernel does not say.  Of what was
 * waiting at a socket of init's before we asked, it knows neither interface nor
 * address of ours: that is answered like a broadcast from the network, so with
 * success or not at all, and who wanted to register asks again.
 */
static bool
introduce(struct call *call, struct msghdr *msg)
{
	struct in_pktinfo *info = door_pktinfo(msg);

	if (msg->msg_namelen != sizeof(call->peer.from) || info == NULL)
		return (false);
	memcpy(&call->peer.from, msg->msg_name, sizeof(call->peer.from));
	call->peer.uid = OWNER_NONE;
	call->peer.door = door_of(info->ipi_addr, info->ipi_ifindex);
	call->ifindex = info->ipi_ifindex;
	call->local = info->ipi_spec_dst;
	call->datagram = true;
	call->broadcast = info->ipi_addr.s_addr != info->ipi_spec_dst.s_addr;
	/* the answer leaves from that address, by whatever way leads back */
	info->ipi_ifindex = 0;
	return (true);
}

static bool_t
datagram_recv(SVCXPRT *xprt, struct rpc_msg *msg)
{
	struct datagram *d = (struct datagram *)(void *)xprt;
	struct mmsghdr *m;

	if (in.next == in.count) {
		in.rings = 0;
		fill_ring(xprt->xp_fd);
		if (in.count == 0)
			return (FALSE);
	}
	m = &in.msgs[in.next++];
	if (m->msg_len > WIRE_RECORD_MAX ||
	    !introduce(&d->t.call, &m->msg_hdr)) {
		stats.garbage++;
		return (FALSE);
	}
	if (!transport_admits(d->guests, d->t.call.peer.from.sin_addr,
		door_is_lo(d->t.call.ifindex))) {
		stats.shut++;
		return (FALSE);
	}
	return (transport_decode(&d->t, in.bytes[in.next - 1], m->msg_len,
		    msg) == CALL_TAKEN);
}

static enum xprt_stat
datagram_stat(SVCXPRT *xprt)
{
	struct transport *t = transport_of(xprt);

	if (t->hurry)
		send_answers(xprt->xp_fd);
	t->hurry = false;
	if (in.next < in.count)
		return (XPRT_MOREREQS);
	if (out.count > 0)
		send_answers(xprt->xp_fd);
	/* a ring that was full: there may be more already */
	if (in.count == RING && in.rings < RINGS_A_TURN && !loop_is_late())
		fill_ring(xprt->xp_fd);
	else
		in.count = in.next = 0;
	return (in.count > 0 ? XPRT_MOREREQS : XPRT_IDLE);
}

/*
 * Encode after the answers that are already there, or in their place once
 * they are sent.  To the network never more than was asked with.
 */
static size_t
encode(struct transport *t, struct rpc_msg *reply)
{
	size_t limit =
	    t->call.peer.door == DOOR_NETWORK ? t->call.len : UDP_MAX;
	size_t room = sizeof(transport_answers) - out.used;
	size_t len = transport_encode(t, reply, transport_answers + out.used,
	    room < limit ? room : limit);

	if (len == 0 && room < limit) {
		send_answers(t->xprt.xp_fd);
		len = transport_encode(t, reply, transport_answers, limit);
	}
	return (len);
}

static bool_t
datagram_reply(SVCXPRT *xprt, struct rpc_msg *reply)
{
	struct transport *t = transport_of(xprt);
	struct msghdr *asked = &in.msgs[in.next - 1].msg_hdr;
	size_t len;

	/* a broadcast is answered with success or not at all */
	if (t->call.broadcast && !transport_succeeds(reply))
		return (TRUE);
	if ((len = encode(t, reply)) == 0) {
		if (!transport_succeeds(reply))
			return (FALSE);
		stats.too_long++;
		svcerr_systemerr(xprt);
		return (FALSE);
	}
	out.iovs[out.count] = (struct iovec){transport_answers + out.used, len};
	out.msgs[out.count].msg_hdr = *asked;
	out.msgs[out.count].msg_hdr.msg_iov = &out.iovs[out.count];
	out.count++;
	out.used += (len + 7) & ~(size_t)7;
	return (TRUE);
}

static void
datagram_destroy(SVCXPRT *xprt)
{
	loop_watch(xprt->xp_fd, NULL, NULL);
	transport_unregister(transport_of(xprt));
	close(xprt->xp_fd);
	free(xprt);
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
	    .msg_controllen = sizeof(control)};

	/* an initialiser clears one member of a union, and no more: gcc 15 */
	memset(&control, 0, sizeof(control));
	control.align.cmsg_level = IPPROTO_IP;
	control.align.cmsg_type = IP_PKTINFO;
	control.align.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	door_pktinfo(&msg)->ipi_spec_dst = from;
	return (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -1 : 0);
}

SVCXPRT *
datagram_serve(int fd, const struct nets *guests)
{
	static const struct xp_ops ops = {
	    .xp_recv = datagram_recv,
	    .xp_stat = datagram_stat,
	    .xp_getargs = transport_getargs,
	    .xp_reply = datagram_reply,
	    .xp_freeargs = transport_freeargs,
	    .xp_destroy = datagram_destroy,
	};
	struct datagram *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return (NULL);
	if (transport_register(&d->t, fd, &ops) == -1) {
		free(d);
		return (NULL);
	}
	d->guests = guests;
	d->next = served;
	served = d;
	loop_watch(fd, svc_getreq_common, NULL);
	return (&d->t.xprt);
}

void
datagram_close_all(void)
{
	struct datagram *d;

	while ((d = served) != NULL) {
		served = d->next;
		datagram_destroy(&d->t.xprt);
	}
}
