/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a call, once its transport has received it whole and libtirpc
 * has found its program and version:
 *
 *	door's verdict	before a byte of the body is decoded
 *	decode		into a struct of fixed size
 *	policy		may this peer do it to this entry?	\
 *	table		do it					 } registry
 *	journal		write it down, before it is answered	/
 *	answer
 *
 * libtirpc's callback has no place for a pointer of ours, so what a call
 * works on is static here: there is one table in the process.
 */
#include "service.h"

#include <errno.h>
#include <stdlib.h>

#include <rpc/pmap_prot.h>
#include <rpc/rpcb_prot.h>

#include "door.h"
#include "forward.h"
#include "links.h"
#include "log.h"
#include "policy.h"
#include "registry.h"
#include "stats.h"
#include "transport.h"
#include "wire.h"

static const struct table *table;
static struct service_options options;

/* DUMP's answer, encoded once and kept until the table changes. */
static struct wire_dump dump;
static uint64_t dump_generation;

/*
 * The procedures of version 2, RFC 1833 section 3.2.
 */

/* Decode the arguments; false when the caller has been told that it cannot. */
static bool
get_args(SVCXPRT *xprt, xdrproc_t decode, void *args)
{
	if (svc_getargs(xprt, decode, args))
		return (true);
	svcerr_decode(xprt);
	log_dropped(&transport_call(xprt)->peer, "arguments");
	return (false);
}

static void
answer_bool(SVCXPRT *xprt, bool yes)
{
	bool_t result = yes;

	svc_sendreply(xprt, (xdrproc_t)xdr_bool, &result);
	transport_hurry(xprt);
}

static void
proc_null(SVCXPRT *xprt, const struct call *call)
{
	static const struct mapping none;

	svc_sendreply(xprt, (xdrproc_t)wire_void, NULL);
	log_call(&call->peer, PMAPPROC_NULL, &none, 0);
}

static void
proc_set(SVCXPRT *xprt, const struct call *call)
{
	struct mapping m = {0};
	bool yes;

	if (!get_args(xprt, (xdrproc_t)wire_mapping, &m))
		return;
	yes = registry_set(&call->peer, &m);
	answer_bool(xprt, yes);
	log_call(&call->peer, PMAPPROC_SET, &m, yes);
}

static void
proc_unset(SVCXPRT *xprt, const struct call *call)
{
	struct mapping m = {0};
	bool yes;

	if (!get_args(xprt, (xdrproc_t)wire_mapping, &m))
		return;
	yes = registry_unset(&call->peer, m.prog, m.vers, 0);
	answer_bool(xprt, yes);
	log_call(&call->peer, PMAPPROC_UNSET, &m, yes);
}

static void
proc_getport(SVCXPRT *xprt, const struct call *call)
{
	const struct mapping *found;
	struct mapping m = {0};
	uint32_t port;

	if (!get_args(xprt, (xdrproc_t)wire_mapping, &m))
		return;
	found = table_find(table, m.prog, m.vers, m.prot);
	port = found == NULL ? 0 : found->port;
	/* to a broadcast only those answer who know */
	if (!call->broadcast || port != 0)
		svc_sendreply(xprt, (xdrproc_t)xdr_u_int32_t, &port);
	log_call(&call->peer, PMAPPROC_GETPORT, &m, port);
}

/* Encode the table anew if it has changed: 0, or -1 when out of memory. */
static int
encode_dump(void)
{
	uint64_t generation = table_generation(table);

	if (dump.len > 0 && dump_generation == generation)
		return (0);
	if (wire_dump_start(&dump, table_count(table)) == -1)
		return (-1);
	for (const struct mapping *m = table_first(table); m != NULL;
	     m = table_next(m))
		wire_dump_add(&dump, m);
	wire_dump_end(&dump);
	dump_generation = generation;
	return (0);
}

static void
proc_dump(SVCXPRT *xprt, const struct call *call)
{
	static const struct mapping none;

	if (encode_dump() == -1) {
		svcerr_systemerr(xprt);
		log_trouble("dump", ENOMEM);
		return;
	}
	svc_sendreply(xprt, (xdrproc_t)wire_dump, &dump);
	log_call(
	    &call->peer, PMAPPROC_DUMP, &none, (uint32_t)table_count(table));
}

static void
proc_callit(SVCXPRT *xprt, const struct call *call)
{
	static struct wire_callit what;
	const struct callit_caller caller = {.door = call->peer.door,
	    .own = door_is_lo(call->ifindex) ||
		   links_own(call->peer.from.sin_addr),
	    .attached = links_attached(call->peer.from.sin_addr, call->ifindex),
	    .smuggled = pmap_is_127(call->local) && !door_is_lo(call->ifindex)};
	const struct forward_caller back = {.from = call->peer.from,
	    .local = call->local,
	    .fd = xprt->xp_fd,
	    .xid = call->xid,
	    .answer_max =
		call->peer.door == DOOR_NETWORK ? CALLIT_ANSWER_MAX : SIZE_MAX};
	const struct mapping *service;
	enum callit no = CALLIT_REFUSED;

	if (!call->datagram) {
		svcerr_noproc(xprt);
		return;
	}
	/* from here on there is nothing to say but success */
	if (!svc_getargs(xprt, (xdrproc_t)wire_callit, &what)) {
		log_dropped(&call->peer, "arguments");
		return;
	}
	if (policy_callit_caller(options.callit, &caller)) {
		service = table_get(table, what.prog, what.vers, IPPROTO_UDP);
		if (service == NULL) {
			no = CALLIT_UNKNOWN;
		} else if (policy_callit_target(what.prog, what.proc,
			       service->port, options.port)) {
			forward_start(&back, &what, (in_port_t)service->port);
			return;
		}
	}
	log_callit(no, &call->peer.from, what.prog, what.vers, what.proc);
}

static const struct procedure {
	void (*run)(SVCXPRT *, const struct call *);
	bool changes;   /* the table: not at every door */
	bool broadcast; /* may be answered when it was not for us alone */
} procedures[] = {
    [PMAPPROC_NULL] = {proc_null, false, false},
    [PMAPPROC_SET] = {proc_set, true, false},
    [PMAPPROC_UNSET] = {proc_unset, true, false},
    [PMAPPROC_GETPORT] = {proc_getport, false, true},
    [PMAPPROC_DUMP] = {proc_dump, false, false},
    [PMAPPROC_CALLIT] = {proc_callit, false, true},
};

static void
dispatch(struct svc_req *request, SVCXPRT *xprt)
{
	const struct call *call = transport_call(xprt);
	const struct procedure *procedure;
	struct mapping none = {0};

	if (request->rq_proc >= sizeof(procedures) / sizeof(*procedures)) {
		svcerr_noproc(xprt);
		log_dropped(&call->peer, "procedure");
		return;
	}
	procedure = &procedures[request->rq_proc];
	stats.calls[call->peer.door][request->rq_proc]++;
	if (call->broadcast && !procedure->broadcast)
		return;
	if (procedure->changes && policy_door(call->peer.door) != WHY_GRANTED) {
		svcerr_weakauth(xprt);
		log_refused(
		    &call->peer, (uint32_t)request->rq_proc, &none, WHY_DOOR);
		return;
	}
	procedure->run(xprt, call);
}

/*
 * Versions 3 and 4 on the local socket, RFC 1833 section 2: NULL, SET and
 * UNSET, which are the same in both.  libtirpc's pmap_set() and svc_reg() send
 * version 3; Linux registers IPv6 listeners of nfsd and lockd by version 4
 * (net/sunrpc/rpcb_clnt.c), and creates none of them if that is refused.
 */

static bool
set_rpcb(const struct peer *peer, const struct wire_rpcb *r, struct mapping *m)
{
	int32_t port = wire_uaddr(r->addr);
	enum wire_netid netid = wire_netid(r->netid);

	/* nothing that we could store, and no reason to give up */
	if (netid == NETID_OTHER && r->prog != PMAP_PROG)
		return (true);
	if (netid == NETID_TCP || netid == NETID_UDP) {
		m->prot = netid == NETID_TCP ? IPPROTO_TCP : IPPROTO_UDP;
		m->port = port == -1 ? 0 : (uint32_t)port;
	}
	/* what is out of range is refused there */
	return (registry_set(peer, m));
}

static bool
unset_rpcb(const struct peer *peer, const struct wire_rpcb *r)
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
			return (true);
		break;
	case NETID_UNKNOWN:
		break;
	}
	return (
	    registry_refuse(peer, r->prog == PMAP_PROG ? WHY_SELF : WHY_RANGE,
		PMAPPROC_UNSET, r->prog, r->vers));
}

static void
dispatch_rpcb(struct svc_req *request, SVCXPRT *xprt)
{
	const struct call *call = transport_call(xprt);
	struct wire_rpcb r;
	struct mapping m;
	bool yes;

	if (request->rq_proc > RPCBPROC_UNSET) {
		/* `rpcinfo` falls back to version 2 on this, and only this */
		svcerr_progvers(xprt, PMAPVERS, PMAPVERS);
		log_dropped(&call->peer, "version");
		return;
	}
	/* the numbers of these procedures are those of version 2 */
	stats.calls[call->peer.door][request->rq_proc]++;
	if (request->rq_proc == NULLPROC) {
		proc_null(xprt, call);
		return;
	}
	if (!get_args(xprt, (xdrproc_t)wire_rpcb, &r))
		return;
	m = (struct mapping){.prog = r.prog, .vers = r.vers};
	yes = request->rq_proc == RPCBPROC_SET ? set_rpcb(&call->peer, &r, &m)
					       : unset_rpcb(&call->peer, &r);
	answer_bool(xprt, yes);
	log_call(&call->peer, (uint32_t)request->rq_proc, &m, yes);
}

int
service_start(
    SVCXPRT *xprt, const struct table *t, const struct service_options *o)
{
	table = t;
	options = *o;
	return (
	    svc_reg(xprt, PMAPPROG, PMAPVERS, dispatch, NULL) &&
		    svc_reg(xprt, PMAPPROG, RPCBVERS, dispatch_rpcb, NULL) &&
		    svc_reg(xprt, PMAPPROG, RPCBVERS4, dispatch_rpcb, NULL)
		? 0
		: -1);
}

/*
 * libtirpc keeps our dispatchers: svc_unreg() would try to tell the port
 * mapper, and wait for us to answer.
 */
void
service_stop(void)
{
	free(dump.bytes);
	dump = (struct wire_dump){0};
}
