/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server as libtirpc's users write them: `server HOW PROG VERS` registers by
 * the function HOW, replies 42 to procedure 1, and unregisters and ends when
 * its standard input does.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rpc/pmap_clnt.h>
#include <rpc/rpc.h>
#include <rpc/svc_soc.h>

static void
dispatch(struct svc_req *request, SVCXPRT *xprt)
{
	int reply = 42;

	if (request->rq_proc == NULLPROC)
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &reply);
	else if (request->rq_proc == 1)
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &reply);
	else
		svcerr_noproc(xprt);
}

static void
must(int ok, const char *what)
{
	if (!ok) {
		printf("failed: %s\n", what);
		exit(1);
	}
}

static void
by_rpcb_set(
    unsigned long prog, unsigned long vers, SVCXPRT *xprt, const char *netid)
{
	struct netconfig *conf = getnetconfigent(netid);
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct netbuf addr = {sizeof(sin), sizeof(sin), &sin};

	sin.sin_port = htons(xprt->xp_port);
	must(conf != NULL, "getnetconfigent");
	must(rpcb_set((rpcprog_t)prog, (rpcvers_t)vers, conf, &addr),
	    "rpcb_set");
	must(svc_reg(xprt, (rpcprog_t)prog, (rpcvers_t)vers, dispatch, NULL),
	    "svc_reg");
	freenetconfigent(conf);
}

int
main(int argc, char *argv[])
{
	unsigned long prog, vers;
	SVCXPRT *udp, *tcp;
	const char *how;

	must(argc == 4, "usage: server HOW PROG VERS");
	how = argv[1];
	prog = strtoul(argv[2], NULL, 0);
	vers = strtoul(argv[3], NULL, 0);
	pmap_unset(prog, vers);

	if (strcmp(how, "svc_create") == 0) {
		must(svc_create(dispatch, (rpcprog_t)prog, (rpcvers_t)vers,
			 "netpath") > 0,
		    how);
	} else {
		udp = svcudp_create(RPC_ANYSOCK);
		tcp = svctcp_create(RPC_ANYSOCK, 0, 0);
		must(udp != NULL && tcp != NULL, "transports");
		if (strcmp(how, "pmap_set") == 0) {
			must(
			    pmap_set(prog, vers, IPPROTO_UDP, udp->xp_port) &&
				pmap_set(prog, vers, IPPROTO_TCP, tcp->xp_port),
			    how);
			must(svc_register(udp, prog, vers, dispatch, 0), how);
		} else if (strcmp(how, "svc_register") == 0) {
			must(svc_register(
				 udp, prog, vers, dispatch, IPPROTO_UDP) &&
				 svc_register(
				     tcp, prog, vers, dispatch, IPPROTO_TCP),
			    how);
		} else if (strcmp(how, "svc_reg") == 0) {
			struct netconfig *u = getnetconfigent("udp");
			struct netconfig *t = getnetconfigent("tcp");

			must(svc_reg(udp, (rpcprog_t)prog, (rpcvers_t)vers,
				 dispatch, u) &&
				 svc_reg(tcp, (rpcprog_t)prog, (rpcvers_t)vers,
				     dispatch, t),
			    how);
		} else {
			by_rpcb_set(prog, vers, udp, "udp");
			by_rpcb_set(prog, vers, tcp, "tcp");
		}
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		fd_set fds = svc_fdset;

		FD_SET(STDIN_FILENO, &fds);
		if (select(FD_SETSIZE, &fds, NULL, NULL, NULL) == -1)
			return (1);
		if (FD_ISSET(STDIN_FILENO, &fds))
			break;
		svc_getreqset(&fds);
	}
	svc_unregister(prog, vers);
	return (0);
}
