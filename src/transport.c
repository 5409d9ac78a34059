/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common half of our SVCXPRTs.  libtirpc's own transports decode beyond
 * what has arrived, block, and let strangers into authenticators that leak;
 * src/README has the list.  Everything here works on bytes in memory.
 */
#include "transport.h"

#include <sys/select.h>

#include <rpc/pmap_prot.h>
#include <rpc/rpcb_prot.h>

#include "links.h"
#include "log.h"
#include "wire.h"
#include "word.h"

uint8_t transport_answers[TRANSPORT_ANSWERS]
    __attribute__((aligned(sizeof(uint64_t))));

static bool_t
no_control(SVCXPRT *xprt, const u_int request, void *in)
{
	(void)xprt;
	(void)request;
	(void)in;
	return (FALSE);
}

int
transport_register(struct transport *t, int fd, const struct xp_ops *ops)
{
	static const struct xp_ops2 ops2 = {.xp_control = no_control};
	static char netid[] = "tcp"; /* any: spares a look at /etc/netconfig */

	t->xprt.xp_fd = fd;
	t->xprt.xp_ops = ops;
	t->xprt.xp_ops2 = &ops2;
	t->xprt.xp_netid = netid;
	t->xprt.xp_p3 = &t->ext;
	xprt_register(&t->xprt);
	/* out of memory, it returns without a word */
	return (FD_ISSET(fd, &svc_fdset) ? 0 : -1);
}

void
transport_unregister(struct transport *t)
{
	xprt_unregister(&t->xprt);
}

bool
transport_admits(const struct nets *guests, struct in_addr from, bool from_here)
{
	return (guests == NULL || from_here || links_own(from) ||
		nets_has(guests, from));
}

/* RFC 5531 section 9: libtirpc has no svcerr_ function for this one. */
static void
answer_rpc_mismatch(struct transport *t)
{
	struct rpc_msg reply = {.rm_direction = REPLY};

	reply.rm_reply.rp_stat = MSG_DENIED;
	reply.rjcted_rply.rj_stat = RPC_MISMATCH;
	reply.rjcted_rply.rj_vers.low = RPC_MSG_VERSION;
	reply.rjcted_rply.rj_vers.high = RPC_MSG_VERSION;
	(*t->xprt.xp_ops->xp_reply)(&t->xprt, &reply);
}

/*
 * Return true if libtirpc may dispatch this program and version.  Versions 3
 * and 4 exist for registrations on the local socket only: libtirpc's own
 * PROG_MISMATCH would name them as served, and `rpcinfo` then does not fall
 * back to version 2.
 */
static bool
is_served(const struct call *call, const struct call_body *body)
{
	return (body->cb_prog != PMAPPROG || body->cb_vers == PMAPVERS ||
		((body->cb_vers == RPCBVERS || body->cb_vers == RPCBVERS4) &&
		    call->peer.door == DOOR_LOCAL));
}

/* May libtirpc see this credential?  Else the reason why not. */
static enum auth_stat
judge_credential(const struct opaque_auth *cred)
{
	switch (cred->oa_flavor) {
	case AUTH_NONE:
		return (AUTH_OK);
	case AUTH_SYS:
		return (wire_authsys(cred->oa_base, cred->oa_length)
			    ? AUTH_OK
			    : AUTH_BADCRED);
	default:
		return (AUTH_REJECTEDCRED);
	}
}

enum transport_call_state
transport_decode(
    struct transport *t, const uint8_t *bytes, size_t len, struct rpc_msg *msg)
{
	enum auth_stat stat;

	t->call.len = len;
	if (len < WIRE_CALL_MIN || word_at(bytes + 4) != CALL) {
		log_dropped(&t->call.peer, "not_a_call");
		return (CALL_GARBAGE);
	}
	t->call.xid = word_at(bytes);
	if (word_at(bytes + 8) != RPC_MSG_VERSION) {
		answer_rpc_mismatch(t);
		log_dropped(&t->call.peer, "rpc_version");
		return (CALL_ANSWERED);
	}
	xdrmem_create(
	    &t->args, (char *)(uintptr_t)bytes, (u_int)len, XDR_DECODE);
	if (!xdr_callmsg(&t->args, msg)) {
		log_dropped(&t->call.peer, "header");
		return (CALL_GARBAGE);
	}
	/* AUTH_SYS would send a verifier back as it came */
	msg->rm_call.cb_verf.oa_length = 0;
	stat = judge_credential(&msg->rm_call.cb_cred);
	if (stat != AUTH_OK) {
		svcerr_auth(&t->xprt, stat);
		log_dropped(&t->call.peer, "credential");
		return (CALL_ANSWERED);
	}
	if (!is_served(&t->call, &msg->rm_call)) {
		svcerr_progvers(&t->xprt, PMAPVERS, PMAPVERS);
		log_dropped(&t->call.peer, "version");
		return (CALL_ANSWERED);
	}
	return (CALL_TAKEN);
}

/*
 * RFC 5531 section 9.  xdr_replymsg() would do, but takes a third of all
 * instructions of a GETPORT that is one of many in a pipeline.
 */
static size_t
encode_success(struct transport *t, const struct accepted_reply *reply,
    uint8_t *bytes, size_t room)
{
	const uint32_t head[] = {
	    t->call.xid, REPLY, MSG_ACCEPTED, AUTH_NONE, 0, SUCCESS};
	XDR xdrs;

	_Static_assert(sizeof(head) == WIRE_REPLY_HEAD, "with no verifier");
	if (room < sizeof(head))
		return (0);
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		word_put(bytes + i * sizeof(*head), head[i]);
	xdrmem_create(&xdrs, (char *)bytes + sizeof(head),
	    (u_int)(room - sizeof(head)), XDR_ENCODE);
	return ((*reply->ar_results.proc)(&xdrs, reply->ar_results.where)
		    ? sizeof(head) + xdr_getpos(&xdrs)
		    : 0);
}

size_t
transport_encode(
    struct transport *t, struct rpc_msg *reply, uint8_t *bytes, size_t room)
{
	XDR xdrs;

	if (transport_succeeds(reply))
		return (encode_success(t, &reply->acpted_rply, bytes, room));
	xdrmem_create(&xdrs, (char *)bytes, (u_int)room, XDR_ENCODE);
	reply->rm_xid = t->call.xid;
	return (xdr_replymsg(&xdrs, reply) ? xdr_getpos(&xdrs) : 0);
}

bool_t
transport_getargs(SVCXPRT *xprt, xdrproc_t decode, void *args)
{
	return ((*decode)(&transport_of(xprt)->args, args));
}

/* Our decoders allocate nothing (see wire.h). */
bool_t
transport_freeargs(SVCXPRT *xprt, xdrproc_t decode, void *args)
{
	(void)xprt;
	(void)decode;
	(void)args;
	return (TRUE);
}
