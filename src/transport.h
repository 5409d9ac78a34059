/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpc/rpc.h>
#include <rpc/svc_mt.h>

#include "addrfilt.h"
#include "pmap.h"
#include "policy.h"
#include "record.h"
#include "table.h"
#include "wire.h"

/*
 * What our two transports, datagram.h and stream.h, have in common under
 * libtirpc's svc layer: a call, its header, and the encoding of its reply.
 * Works on bytes in memory only.
 */

/* The call that a transport serves at the moment. */
struct call {
	struct peer peer;
	struct in_addr local_addr; /* of this host, to which it was sent */
	int ifindex;               /* of the interface that received it */
	bool datagram;
	bool broadcast; /* sent to a broadcast or multicast address */
	uint32_t xid;
	size_t len; /* bytes of the call */
};

/* What became of a call. */
enum call_result {
	CALL_DISPATCHED,
	CALL_REJECTED, /* by an error reply */
	CALL_MALFORMED /* no reply is possible */
};

struct transport {
	SVCXPRT xprt; /* first: libtirpc passes it to our functions */
	SVCXPRT_EXT ext;
	struct xp_ops ops;
	struct call call;
	const uint8_t *message; /* of the call */
	enum call_result result;
	XDR args; /* the message after its header, and nothing beyond it */
};

static inline struct transport *
transport_of(SVCXPRT *xprt)
{
	return ((struct transport *)(void *)xprt);
}

/* Return the call that a dispatcher was invoked for. */
static inline struct call *
transport_call(SVCXPRT *xprt)
{
	return (&transport_of(xprt)->call);
}

/*
 * Register a transport with libtirpc for `fd`; `reply` encodes and queues a
 * reply.  Return 0, or -1 when out of memory.
 */
int transport_register(
    struct transport *, int fd, bool_t (*reply)(SVCXPRT *, struct rpc_msg *));
void transport_unregister(struct transport *);

/*
 * Return true if the filter allows a caller: if it is NULL, or contains its
 * IPv4 address, or with `from_here` for what was received on lo or on the local
 * socket.  A filter that is not empty also allows the addresses of this host.
 * Count and log a caller that it denies.
 */
bool transport_allows(
    const struct addrfilt *, const struct peer *, bool from_here);

/*
 * Serve one call message of `len` bytes through libtirpc: xp_recv decodes its
 * header, libtirpc dispatches it, and xp_reply encodes the reply.  libtirpc
 * sees only AUTH_NONE and well-formed AUTH_SYS, and only the versions of our
 * program that this origin may use.  Return what became of the call.
 */
enum call_result transport_serve(
    struct transport *, const uint8_t *bytes, size_t len);

/* Count, and log if that is verbose, a call that is malformed or not served. */
void transport_badcall(const struct call *, const char *reason);

/* Return true for a reply with results. */
static inline bool
transport_succeeds(const struct rpc_msg *reply)
{
	return (reply->rm_reply.rp_stat == MSG_ACCEPTED &&
		reply->acpted_rply.ar_stat == SUCCESS);
}

/*
 * Encode a reply into at most `room` bytes.  Return the length, or 0 if it does
 * not fit.
 */
size_t transport_encode(const struct transport *, const struct rpc_msg *,
    uint8_t *bytes, size_t room);

/*
 * Replies that the running handler has queued.  It sends them by one system
 * call, and leaves the buffer empty.  After a batch there is room for the
 * longest reply: the record mark and the DUMP of a full table.
 */
enum {
	TRANSPORT_BATCH = 65536,
	TRANSPORT_DUMP_MAX = RECORD_MARK + WIRE_REPLY_HEAD +
			     WIRE_ENTRY * (QUOTA_ALL + TABLE_SELF) + 4,
	TRANSPORT_REPLIES = (TRANSPORT_BATCH + TRANSPORT_DUMP_MAX + 7) & ~7
};
extern uint8_t transport_replies[TRANSPORT_REPLIES];

#endif
