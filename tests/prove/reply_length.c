/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reply over UDP to the network is at most as long as its call, and no reply
 * exceeds a datagram.  on_reply() of datagram.c queues at most one reply, in
 * room that no other has, and keeps the invariant of the buffer of replies.
 *
 * Bound: all calls and replies, and any use of a buffer with 0, 1 or 31
 * replies; a ring has 32.
 * Run: --unwind 10
 */
#include "prove.h"

#include "../../src/datagram.c"

uint8_t transport_replies[TRANSPORT_REPLIES];
struct counters counters;
static size_t system_errors, encoded, sendings;

/* transport_encode.c proves that it is at most as long as the room. */
size_t
transport_encode(const struct transport *t, const struct rpc_msg *reply,
    uint8_t *bytes, size_t room)
{
	PROVE(bytes >= transport_replies);
	PROVE(room <= UDP_MAX);
	PROVE(room == 0 || __CPROVER_w_ok(bytes, room));
	PROVE(t->call.peer.origin != ORIGIN_NETWORK || room <= t->call.len);
	encoded = any_size(0, room);
	return (encoded);
}

/* libtirpc's calls on_reply() again, with an error. */
void
svcerr_systemerr(SVCXPRT *xprt)
{
	system_errors++;
}

/* Each call sends all that is left. */
int
sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int options)
{
	PROVE(out.count > 0 && out.count < RING);
	PROVE(msgs >= out.msgs && msgs + n <= out.msgs + out.count);
	sendings++;
	return ((int)n);
}

/* debt.h: nobody is in debt, which changes what is sent at once only. */
bool
debt_is_suspect(struct peer *peer)
{
	return (false);
}

int64_t
debt_until(struct peer *peer)
{
	return (0);
}

void
debt_begin(struct peer *peer)
{
}

bool
debt_end(struct peer *peer, unsigned messages, size_t bytes)
{
	return (false);
}

void
debt_suspect(struct peer *peer)
{
}

static bool
holds(void)
{
	return (out.count <= RING && out.used <= sizeof(transport_replies) &&
		out.used % 8 == 0 && (out.count > 0 || out.used == 0));
}

static bool
is_success(const struct rpc_msg *reply)
{
	return (reply->rm_reply.rp_stat == MSG_ACCEPTED &&
		reply->acpted_rply.ar_stat == SUCCESS);
}

static void
prove_queued(const struct transport *t, const struct rpc_msg *reply)
{
	const struct iovec *iov = &out.iovs[out.count - 1];
	size_t at = (size_t)((uint8_t *)iov->iov_base - transport_replies);

	PROVE(iov->iov_len == encoded && encoded > 0);
	PROVE(t->call.peer.origin != ORIGIN_NETWORK ||
	      iov->iov_len <= t->call.len);
	PROVE(!t->call.broadcast || is_success(reply));
	PROVE(at + iov->iov_len <= out.used);
	PROVE(out.msgs[out.count - 1].msg_hdr.msg_iov == iov);
}

static void
prove_from(unsigned count)
{
	struct transport t;
	struct rpc_msg reply;
	size_t before, end;
	struct msghdr msg;
	bool done;

	out.count = count;
	out.used = nondet_size();
	ASSUME(holds());
	ASSUME(t.call.len <= WIRE_RECORD_MAX);
	t.call.peer.origin = (enum origin)any_size(0, ORIGIN_LOOPBACK);
	t.call.broadcast = nondet_bool();
	current = &msg;
	before = out.count;
	end = out.used;
	done = on_reply(&t.xprt, &reply) != FALSE;
	PROVE(holds());
	if (sendings > 0) {
		before = 0;
		end = 0;
	}
	if (out.count == before + 1) {
		PROVE(done && system_errors == 0);
		PROVE((uint8_t *)out.iovs[before].iov_base ==
		      transport_replies + end);
		prove_queued(&t, &reply);
		if (sendings > 0)
			REACHED("the buffer was full");
		if (encoded == UDP_MAX)
			REACHED("the longest datagram");
		if (t.call.peer.origin == ORIGIN_NETWORK &&
		    encoded == t.call.len)
			REACHED("a reply as long as its call");
	} else {
		PROVE(out.count == before);
		PROVE(system_errors <= 1);
		PROVE(system_errors == 0 || is_success(&reply));
		if (system_errors > 0)
			REACHED("a result that is too long");
	}
}

void
prove(void)
{
	/* constants keep the indices simple for CBMC */
	if (nondet_bool())
		prove_from(0);
	else if (nondet_bool())
		prove_from(1);
	else
		prove_from(RING - 1);
}
