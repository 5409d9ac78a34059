/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipv6.h"

#include <sys/socket.h>

#include <netinet/in.h>

#include <rpc/rpc.h>
#include <rpc/pmap_prot.h>

#include "be32.h"
#include "log.h"
#include "loop.h"
#include "peer.h"
#include "wire.h"

enum {
	CRED_AT = 24,
	CALL_MAX = WIRE_CALL_MIN + 2 * MAX_AUTH_BYTES,
	DATAGRAMS_PER_TURN = 32
};

/* The words of a call. */
enum {
	XID,
	DIRECTION,
	RPCVERS,
	PROG,
	VERS,
	PROC
};

static bool lo_only;

static uint32_t
word(const uint8_t *call, size_t i)
{
	return (be32dec(call + 4 * i));
}

/*
 * Return the end of the flavor, the length and the body of a credential or
 * verifier at `begin`, or `len` + 1 if it has none.
 */
static size_t
end_of_auth(const uint8_t *call, size_t len, size_t begin)
{
	uint32_t body;

	if (begin + 8 > len ||
	    (body = be32dec(call + begin + 4)) > MAX_AUTH_BYTES)
		return (len + 1);
	return (begin + 8 + ((body + 3) & ~3u));
}

size_t
ipv6_reply(const uint8_t *call, size_t len, uint8_t reply[IPV6_REPLY_MAX])
{
	uint32_t words[IPV6_REPLY_MAX / 4] = {0};
	size_t n = 6;

	if (len < WIRE_CALL_MIN || word(call, DIRECTION) != CALL ||
	    word(call, RPCVERS) != RPC_MSG_VERSION ||
	    end_of_auth(call, len, end_of_auth(call, len, CRED_AT)) > len)
		return (0);
	words[0] = word(call, XID);
	words[1] = REPLY;
	words[2] = MSG_ACCEPTED; /* and a verifier, AUTH_NONE without a body */
	if (word(call, PROG) != PMAP_PROG)
		words[5] = PROG_UNAVAIL;
	else if (word(call, VERS) != PMAPVERS)
		words[5] = PROG_MISMATCH;
	else
		words[5] =
		    word(call, PROC) == NULLPROC ? SUCCESS : PROC_UNAVAIL;
	if (words[5] == PROG_MISMATCH) {
		words[6] = words[7] = PMAPVERS; /* the lowest and the highest */
		n = 8;
	}
	for (size_t i = 0; i < n; i++)
		be32enc(reply + 4 * i, words[i]);
	return (4 * n);
}

/* Return the destination of a datagram, in `msg`; NULL if it has no reply. */
static struct in6_pktinfo *
destination(struct msghdr *msg)
{
	struct in6_pktinfo *info;
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (c == NULL || c->cmsg_level != IPPROTO_IPV6 ||
	    c->cmsg_type != IPV6_PKTINFO)
		return (NULL);
	info = (struct in6_pktinfo *)(void *)CMSG_DATA(c);
	if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr) ||
	    (lo_only && !peer_is_lo((int)info->ipi6_ifindex)))
		return (NULL);
	return (info);
}

static void
on_readable(void *arg)
{
	int fd = (int)(intptr_t)arg;

	for (int i = 0; i < DATAGRAMS_PER_TURN; i++) {
		uint8_t call[CALL_MAX], reply[IPV6_REPLY_MAX];
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		} control;
		struct sockaddr_in6 from;
		struct iovec iov = {call, sizeof(call)};
		struct msghdr msg = {.msg_name = &from,
		    .msg_namelen = sizeof(from),
		    .msg_iov = &iov,
		    .msg_iovlen = 1,
		    .msg_control = &control,
		    .msg_controllen = sizeof(control)};
		struct in6_pktinfo *info;
		ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

		if (n == -1)
			return;
		if ((info = destination(&msg)) == NULL)
			continue;
		iov = (struct iovec){reply, ipv6_reply(call, (size_t)n, reply)};
		if (iov.iov_len == 0) {
			counters.badcalls++;
			continue;
		}
		counters.ipv6++;
		/* the reply leaves from that address, by any interface */
		if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
			info->ipi6_ifindex = 0;
		if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
			counters.lost++;
	}
}

void
ipv6_serve(int fd, bool on_lo_only)
{
	lo_only = on_lo_only;
	loop_watch(fd, on_readable, NULL, (void *)(intptr_t)fd);
	loop_share(fd);
}
