/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpc/rpc.h>
#include <rpc/svc_mt.h>

#include "nets.h"
#include "pmap.h"

/*
 * What our transports under libtirpc's svc layer have in common: the call
 * being answered, how its header is read, and how answers are put together.
 * datagram.h and stream.h are the two kinds.
 */

/* One call, as long as it is being answered. */
struct call {
	struct peer peer;
	struct in_addr local; /* the address of ours that it came to */
	int ifindex;          /* the interface that it came in by */
	bool datagram;        /* not by a stream */
	bool broadcast;       /* not sent to us alone */
	uint32_t xid;
	size_t len; /* bytes that arrived */
};

struct transport {
	SVCXPRT xprt; /* first: libtirpc hands it back to us */
	bool hurry;   /* the answer is not to wait for those of later calls */
	SVCXPRT_EXT ext;
	struct call call;
	XDR args; /* what follows the header, and not one byte more */
};

static inline struct transport *
transport_of(SVCXPRT *xprt)
{
	return ((struct transport *)(void *)xprt);
}

/* For the dispatcher: the call that it was given. */
static inline const struct call *
transport_call(SVCXPRT *xprt)
{
	return (&transport_of(xprt)->call);
}

/*
 * Make it known to libtirpc as the transport of `fd`: 0, or -1 when libtirpc
 * cannot take it.
 */
int transport_register(struct transport *, int fd, const struct xp_ops *);
void transport_unregister(struct transport *);

/*
 * Is this source let in by -a?  This host always is: what came by the
 * interface lo or the local door (`from_here`), and its own addresses.
 * Without a list (NULL) everybody is.
 */
bool transport_admits(
    const struct nets *guests, struct in_addr from, bool from_here);

/*
 * Read the header of a call of `len` bytes and see to it that libtirpc gets
 * only what it can take: AUTH_NONE and well-formed AUTH_SYS, and of our
 * program the versions that this door serves.  What else can be answered has
 * been answered on return.
 */
enum transport_call_state {
	CALL_TAKEN,    /* to be dispatched */
	CALL_ANSWERED, /* with an error */
	CALL_GARBAGE,  /* not a call: no answer is possible */
};
enum transport_call_state transport_decode(
    struct transport *, const uint8_t *bytes, size_t len, struct rpc_msg *);

/* Is this an answer with results? */
static inline bool
transport_succeeds(const struct rpc_msg *reply)
{
	return (reply->rm_reply.rp_stat == MSG_ACCEPTED &&
		reply->acpted_rply.ar_stat == SUCCESS);
}

/*
 * Encode an answer into at most `room` bytes; the length, or 0 when it does
 * not fit.
 */
size_t transport_encode(
    struct transport *, struct rpc_msg *, uint8_t *bytes, size_t room);

/*
 * For the dispatcher: what this call has changed is written down, so let its
 * answer leave before the next call is looked at.  Should we be killed, at
 * most one change was made that its caller does not know of.
 */
static inline void
transport_hurry(SVCXPRT *xprt)
{
	transport_of(xprt)->hurry = true;
}

/* xp_getargs and xp_freeargs. */
bool_t transport_getargs(SVCXPRT *, xdrproc_t, void *);
bool_t transport_freeargs(SVCXPRT *, xdrproc_t, void *);

/*
 * Answers wait here until they are sent, many by one system call.  There is
 * one for all transports: it is empty between two turns of the loop.  Behind
 * a batch there is room for the longest answer, a DUMP of a full table.
 */
enum {
	TRANSPORT_BATCH = 65536,
	TRANSPORT_ANSWERS = TRANSPORT_BATCH + 32 + 20 * (16384 + 2) + 4,
};
extern uint8_t transport_answers[TRANSPORT_ANSWERS];

#endif
