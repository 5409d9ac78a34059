/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libtirpc's own transports decode past the end of a message, block, and pass
 * any credential to authenticators that leak; src/README has the list.
 */
#include "transport.h"

#include <sys/select.h>

#include <rpc/pmap_prot.h>
#include <rpc/rpcb_prot.h>

#include "be32.h"
#include "ifaddr.h"
#include "log.h"

uint8_t transport_replies[TRANSPORT_REPLIES]
    __attribute__((aligned(sizeof(uint64_t))));

bool
transport_allows(
    const struct addrfilt *acl, const struct peer *peer, bool from_here)
{
	if (acl == NULL || from_here ||
	    (peer->origin != ORIGIN_IPV6 &&
		(addrfilt_match(acl, peer->from.sin_addr) ||
		    (acl->count > 0 && ifaddr_is_own(peer->from.sin_addr)))))
		return (true);
	counters.acl_denied++;
	log_denied(peer);
	return (false);
}

void
transport_badcall(const struct call *call, const char *reason)
{
	counters.badcalls++;
	log_badcall(&call->peer, reason);
}

/* RFC 5531 section 9: libtirpc has no svcerr_ function for this one. */
static void
reply_rpc_mismatch(struct transport *t)
{
	struct rpc_msg reply = {.rm_direction = REPLY};

	reply.rm_reply.rp_stat = MSG_DENIED;
	reply.rjcted_rply.rj_stat = RPC_MISMATCH;
	reply.rjcted_rply.rj_vers.low = RPC_MSG_VERSION;
	reply.rjcted_rply.rj_vers.high = RPC_MSG_VERSION;
	(*t->xprt.xp_ops->xp_reply)(&t->xprt, &reply);
}

/*
 * Return true if libtirpc may dispatch this version.  Versions 3 and 4 exist
 * for registrations on this host only: libtirpc's own PROG_MISMATCH would name
 * them as served, and `rpcinfo` then does not fall back to version 2.
 */
static bool
is_served(const struct call *call, const struct call_body *body)
{
	return (body->cb_vers == PMAPVERS ||
		((body->cb_vers == RPCBVERS || body->cb_vers == RPCBVERS4) &&
		    verdict_is_ok(policy_origin(call->peer.origin))));
}

/* Return AUTH_OK if libtirpc may see this credential, else the error. */
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

static enum call_result
decode_call(struct transport *t, struct rpc_msg *msg)
{
	const uint8_t *bytes = t->message;
	size_t len = t->call.len;
	enum auth_stat stat;

	if (len < WIRE_CALL_MIN || be32dec(bytes + 4) != CALL) {
		transport_badcall(&t->call, "not_a_call");
		return (CALL_MALFORMED);
	}
	t->call.xid = be32dec(bytes);
	if (be32dec(bytes + 8) != RPC_MSG_VERSION) {
		reply_rpc_mismatch(t);
		transport_badcall(&t->call, "rpc_version");
		return (CALL_REJECTED);
	}
	xdrmem_create(
	    &t->args, (char *)(uintptr_t)bytes, (u_int)len, XDR_DECODE);
	if (!xdr_callmsg(&t->args, msg)) {
		transport_badcall(&t->call, "header");
		return (CALL_MALFORMED);
	}
	stat = judge_credential(&msg->rm_call.cb_cred);
	if (stat != AUTH_OK) {
		svcerr_auth(&t->xprt, stat);
		transport_badcall(&t->call, "credential");
		return (CALL_REJECTED);
	}
	if (msg->rm_call.cb_prog != PMAP_PROG) {
		svcerr_noprog(&t->xprt);
		transport_badcall(&t->call, "program");
		return (CALL_REJECTED);
	}
	if (!is_served(&t->call, &msg->rm_call)) {
		svcerr_progvers(&t->xprt, PMAPVERS, PMAPVERS);
		transport_badcall(&t->call, "version");
		return (CALL_REJECTED);
	}
	return (CALL_DISPATCHED);
}

enum call_result
transport_serve(struct transport *t, const uint8_t *bytes, size_t len)
{
	t->message = bytes;
	t->call.len = len;
	svc_getreq_common(t->xprt.xp_fd);
	return (t->result);
}

/*
 * RFC 5531 section 9.  xdr_replymsg() would take a third of all instructions of
 * a GETPORT that is one of many in a pipeline.
 */
size_t
transport_encode(const struct transport *t, const struct rpc_msg *reply,
    uint8_t *bytes, size_t room)
{
	const struct accepted_reply *accepted = &reply->acpted_rply;
	const struct rejected_reply *rejected = &reply->rjcted_rply;
	uint32_t words[8] = {t->call.xid, REPLY, reply->rm_reply.rp_stat};
	size_t n = 3;
	XDR xdrs;

	if (words[2] == MSG_ACCEPTED) {
		words[n++] = AUTH_NONE;
		words[n++] = 0; /* bytes of the verifier */
		words[n++] = accepted->ar_stat;
		if (accepted->ar_stat == PROG_MISMATCH) {
			words[n++] = accepted->ar_vers.low;
			words[n++] = accepted->ar_vers.high;
		}
	} else {
		words[n++] = rejected->rj_stat;
		if (rejected->rj_stat == RPC_MISMATCH) {
			words[n++] = rejected->rj_vers.low;
			words[n++] = rejected->rj_vers.high;
		} else {
			words[n++] = rejected->rj_why;
		}
	}
	if (room < n * sizeof(*words))
		return (0);
	for (size_t i = 0; i < n; i++)
		be32enc(bytes + i * sizeof(*words), words[i]);
	if (!transport_succeeds(reply))
		return (n * sizeof(*words));
	xdrmem_create(&xdrs, (char *)bytes + WIRE_REPLY_HEAD,
	    (u_int)(room - WIRE_REPLY_HEAD), XDR_ENCODE);
	if (!(*accepted->ar_results.proc)(&xdrs, accepted->ar_results.where))
		return (0);
	return (WIRE_REPLY_HEAD + xdr_getpos(&xdrs));
}

/*
 * libtirpc calls xp_recv, xp_getargs, xp_reply and xp_stat.  It never calls
 * xp_freeargs and xp_control here, but it does not check for NULL.
 */

static bool_t
xp_recv(SVCXPRT *xprt, struct rpc_msg *msg)
{
	struct transport *t = transport_of(xprt);

	t->result = decode_call(t, msg);
	return (t->result == CALL_DISPATCHED);
}

static bool_t
xp_getargs(SVCXPRT *xprt, xdrproc_t decode, void *args)
{
	return ((*decode)(&transport_of(xprt)->args, args));
}

/* The decoders of wire.h allocate nothing. */
static bool_t
xp_freeargs(SVCXPRT *xprt, xdrproc_t decode, void *args)
{
	(void)xprt;
	(void)decode;
	(void)args;
	return (TRUE);
}

/* There is no second message: transport_serve() passes one at a time. */
static enum xprt_stat
xp_stat(SVCXPRT *xprt)
{
	(void)xprt;
	return (XPRT_IDLE);
}

static bool_t
xp_control(SVCXPRT *xprt, const u_int request, void *in)
{
	(void)xprt;
	(void)request;
	(void)in;
	return (FALSE);
}

int
transport_register(
    struct transport *t, int fd, bool_t (*reply)(SVCXPRT *, struct rpc_msg *))
{
	static const struct xp_ops2 ops2 = {.xp_control = xp_control};
	static char netid[] = "tcp"; /* any, or libtirpc reads /etc/netconfig */

	t->ops = (struct xp_ops){
	    .xp_recv = xp_recv,
	    .xp_stat = xp_stat,
	    .xp_getargs = xp_getargs,
	    .xp_reply = reply,
	    .xp_freeargs = xp_freeargs,
	};
	t->xprt.xp_fd = fd;
	t->xprt.xp_ops = &t->ops;
	t->xprt.xp_ops2 = &ops2;
	t->xprt.xp_netid = netid;
	t->xprt.xp_p3 = &t->ext;
	xprt_register(&t->xprt);
	/*
	 * Without memory for its table, xprt_register() does nothing.  It may
	 * lack memory for svc_pollfd only, which nobody uses.
	 */
	return (FD_ISSET(fd, &svc_fdset) ? 0 : -1);
}

void
transport_unregister(struct transport *t)
{
	xprt_unregister(&t->xprt);
}
