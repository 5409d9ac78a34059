/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libtirpc passes no user data to a dispatcher, so the state of this module is
 * static.
 */
#include "service.h"

#include <rpc/pmap_prot.h>
#include <rpc/rpcb_prot.h>

#include "callit.h"
#include "debt.h"
#include "ifaddr.h"
#include "log.h"
#include "peer.h"
#include "registry.h"
#include "transport.h"
#include "wire.h"

static struct service_options options;

/*
 * Version 2, RFC 1833 section 3.2.
 */

/* Decode the arguments.  Return false after the reply GARBAGE_ARGS. */
static bool
get_args(SVCXPRT *xprt, xdrproc_t decode, void *args)
{
	if (svc_getargs(xprt, decode, args))
		return (true);
	svcerr_decode(xprt);
	transport_badcall(transport_call(xprt), "arguments");
	return (false);
}

/* Reply to a SET or UNSET of any version, and log it. */
static void
reply_verdict(
    SVCXPRT *xprt, uint32_t proc, const struct mapping *m, enum verdict verdict)
{
	bool_t granted = verdict_is_ok(verdict);

	svc_sendreply(xprt, (xdrproc_t)xdr_bool, &granted);
	log_call(&transport_call(xprt)->peer, proc, m, (uint32_t)granted);
}

static void
proc_null(SVCXPRT *xprt, struct call *call)
{
	svc_sendreply(xprt, (xdrproc_t)wire_void, NULL);
	log_call(&call->peer, PMAPPROC_NULL, NULL, 0);
}

static void
proc_set(SVCXPRT *xprt, struct call *call)
{
	struct mapping m = {0};

	if (get_args(xprt, (xdrproc_t)wire_mapping, &m))
		reply_verdict(
		    xprt, PMAPPROC_SET, &m, registry_set(&call->peer, &m));
}

static void
proc_unset(SVCXPRT *xprt, struct call *call)
{
	struct mapping m = {0};

	if (get_args(xprt, (xdrproc_t)wire_mapping, &m))
		reply_verdict(xprt, PMAPPROC_UNSET, &m,
		    registry_unset(&call->peer, m.prog, m.vers, 0));
}

/* Gather how the call arrived, for policy. */
static struct arrival
arrival_of(const struct call *call)
{
	const struct in_addr from = call->peer.from.sin_addr;
	bool on_lo = peer_is_lo(call->ifindex);

	return ((struct arrival){.own = on_lo || ifaddr_is_own(from),
	    .on_link = ifaddr_on_link(from, call->ifindex),
	    .martian = pmap_is_127(call->local_addr) && !on_lo});
}

static void
proc_getport(SVCXPRT *xprt, struct call *call)
{
	const struct mapping *found;
	struct mapping m = {0};
	uint32_t port;

	if (!get_args(xprt, (xdrproc_t)wire_mapping, &m))
		return;
	found = table_getport(registry_table(), m.prog, m.vers, m.prot);
	port = found == NULL ? 0 : found->port;
	/* a broadcast asks many hosts, and only those with the program reply */
	if (!call->broadcast ||
	    (port != 0 && policy_broadcast(arrival_of(call))))
		svc_sendreply(xprt, (xdrproc_t)xdr_u_int32_t, &port);
	log_call(&call->peer, PMAPPROC_GETPORT, &m, port);
}

/* Encode the result of DUMP. */
static bool_t
encode_table(XDR *xdrs, void *nothing)
{
	bool_t more = FALSE;

	(void)nothing;
	for (const struct mapping *m = table_first(registry_table()); m != NULL;
	     m = table_next(m))
		if (!wire_entry(xdrs, m))
			return (FALSE);
	return (xdr_bool(xdrs, &more));
}

static void
proc_dump(SVCXPRT *xprt, struct call *call)
{
	svc_sendreply(xprt, (xdrproc_t)encode_table, NULL);
	log_call(&call->peer, PMAPPROC_DUMP, NULL,
	    (uint32_t)table_count(registry_table()));
}

static void
proc_callit(SVCXPRT *xprt, struct call *call)
{
	static struct wire_callit what;
	const struct arrival caller = arrival_of(call);
	const bool here = policy_callit_caller(CALLIT_HOST, caller);
	struct callit_return back = {.peer = call->peer,
	    .local_addr = call->local_addr,
	    .here = here,
	    .fd = xprt->xp_fd,
	    .xid = call->xid,
	    .reply_max = here ? SIZE_MAX : CALLIT_REPLY_MAX};
	enum callit_outcome outcome = CALLIT_REFUSED;
	const struct mapping *service;

	if (!call->datagram) {
		svcerr_noproc(xprt);
		transport_badcall(call, "procedure");
		return;
	}
	/* RFC 1833 section 3.2: no reply unless the call succeeded */
	if (!svc_getargs(xprt, (xdrproc_t)wire_callit, &what)) {
		transport_badcall(call, "arguments");
		return;
	}
	if (policy_callit_caller(options.callit, caller)) {
		service = table_lookup(
		    registry_table(), what.prog, what.vers, IPPROTO_UDP);
		if (service == NULL) {
			outcome = CALLIT_UNKNOWN;
		} else if (policy_callit_target(caller, what.prog, what.proc,
			       service->port, options.port)) {
			if (call->peer.origin == ORIGIN_LOOPBACK)
				back.peer.uid = debt_identify(&call->peer);
			callit_start(&back, &what, (in_port_t)service->port);
			return;
		}
	}
	callit_report(outcome, &call->peer, what.prog, what.vers, what.proc);
}

static const struct procedure {
	void (*run)(SVCXPRT *, struct call *);
	bool changes;   /* the table */
	bool broadcast; /* a broadcast call is served */
} procedures[PMAP_PROCS] = {
    [PMAPPROC_NULL] = {.run = proc_null},
    [PMAPPROC_SET] = {.run = proc_set, .changes = true},
    [PMAPPROC_UNSET] = {.run = proc_unset, .changes = true},
    [PMAPPROC_GETPORT] = {.run = proc_getport, .broadcast = true},
    [PMAPPROC_DUMP] = {.run = proc_dump},
    [PMAPPROC_CALLIT] = {.run = proc_callit, .broadcast = true},
};

static void
dispatch(struct svc_req *request, SVCXPRT *xprt)
{
	struct call *call = transport_call(xprt);
	const struct mapping unknown = {0}; /* not decoded yet */
	const struct procedure *procedure;
	enum verdict verdict;

	if (request->rq_proc >= PMAP_PROCS) {
		svcerr_noproc(xprt);
		transport_badcall(call, "procedure");
		return;
	}
	procedure = &procedures[request->rq_proc];
	counters.calls[call->peer.origin][request->rq_proc]++;
	/*
	 * libtirpc asks over IPv6, too, if the name of a host has such an
	 * address, as Debian's localhost has.  It ignores the ICMP error of a
	 * closed port, and would wait for 60 seconds.
	 */
	if (call->peer.origin == ORIGIN_IPV6 &&
	    request->rq_proc != PMAPPROC_NULL) {
		svcerr_noproc(xprt);
		transport_badcall(call, "procedure");
		return;
	}
	if (call->broadcast && !procedure->broadcast)
		return;
	/* the registry checks this again */
	verdict = policy_origin(call->peer.origin);
	if (procedure->changes && !verdict_is_ok(verdict)) {
		svcerr_weakauth(xprt);
		registry_refuse(
		    &call->peer, verdict, (uint32_t)request->rq_proc, &unknown);
		return;
	}
	procedure->run(xprt, call);
}

/*
 * Versions 3 and 4 on this host, RFC 1833 section 2: NULL, SET and UNSET, which
 * are the same in both.  libtirpc's pmap_set() and svc_reg() send version 3 to
 * the local socket, or over loopback if they do not see it, as in a chroot;
 * Linux registers IPv6 listeners of nfsd and lockd by version 4
 * (net/sunrpc/rpcb_clnt.c), and creates none of them if that is refused.
 */

static enum verdict
set_rpcb(struct peer *peer, const struct wire_rpcb *r, struct mapping *m)
{
	enum wire_netid netid = wire_netid(r->netid);
	int32_t port = wire_uaddr(r->addr);

	/* version 2 cannot express it; an error would stop the server */
	if (netid == NETID_OTHER && r->prog != PMAP_PROG)
		return (VERDICT_UNCHANGED);
	if (netid == NETID_TCP || netid == NETID_UDP) {
		m->prot = netid == NETID_TCP ? IPPROTO_TCP : IPPROTO_UDP;
		m->port = port == -1 ? 0 : (uint32_t)port;
	}
	/* policy_set() refuses protocol 0 and port 0 */
	return (registry_set(peer, m));
}

static enum verdict
unset_rpcb(struct peer *peer, const struct wire_rpcb *r, struct mapping *m)
{
	switch (wire_netid(r->netid)) {
	case NETID_ANY:
		return (registry_unset(peer, r->prog, r->vers, 0));
	case NETID_TCP:
		return (registry_unset(peer, r->prog, r->vers, IPPROTO_TCP));
	case NETID_UDP:
		return (registry_unset(peer, r->prog, r->vers, IPPROTO_UDP));
	case NETID_OTHER:
		if (r->prog != PMAP_PROG)
			return (VERDICT_UNCHANGED);
		break;
	case NETID_UNKNOWN:
		break;
	}
	return (registry_refuse(peer,
	    r->prog == PMAP_PROG ? VERDICT_DENY_SELF : VERDICT_DENY_RANGE,
	    PMAPPROC_UNSET, m));
}

static void
dispatch_rpcb(struct svc_req *request, SVCXPRT *xprt)
{
	struct call *call = transport_call(xprt);
	/* procedures 0 to 2 have the numbers of version 2 */
	uint32_t proc = (uint32_t)request->rq_proc;
	struct wire_rpcb r;
	struct mapping m;

	if (proc > RPCBPROC_UNSET) {
		/* `rpcinfo` falls back to version 2 only on this reply */
		svcerr_progvers(xprt, PMAPVERS, PMAPVERS);
		transport_badcall(call, "version");
		return;
	}
	counters.calls[call->peer.origin][proc]++;
	if (call->broadcast)
		return;
	if (proc == NULLPROC) {
		proc_null(xprt, call);
		return;
	}
	if (!get_args(xprt, (xdrproc_t)wire_rpcb, &r))
		return;
	m = (struct mapping){.prog = r.prog, .vers = r.vers};
	reply_verdict(xprt, proc, &m,
	    proc == RPCBPROC_SET ? set_rpcb(&call->peer, &r, &m)
				 : unset_rpcb(&call->peer, &r, &m));
}

int
service_start(SVCXPRT *xprt, const struct service_options *o)
{
	options = *o;
	return (
	    svc_reg(xprt, PMAP_PROG, PMAPVERS, dispatch, NULL) &&
		    svc_reg(xprt, PMAP_PROG, RPCBVERS, dispatch_rpcb, NULL) &&
		    svc_reg(xprt, PMAP_PROG, RPCBVERS4, dispatch_rpcb, NULL)
		? 0
		: -1);
}
