/* SPDX-License-Identifier: BSD-2-Clause */
/* An RPC server on dietlibc: server tcp|udp PROGRAM */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rpc/rpc.h>
#include <rpc/pmap_clnt.h>

static void
reply(struct svc_req *request, SVCXPRT *xprt)
{
	(void)request;
	svc_sendreply(xprt, (xdrproc_t)xdr_void, NULL);
}

int
main(int argc, char *argv[])
{
	int tcp = argc == 3 && strcmp(argv[1], "tcp") == 0;
	unsigned long prog = strtoul(argv[2], NULL, 0);
	SVCXPRT *xprt = tcp ? svctcp_create(RPC_ANYSOCK, 0, 0)
			    : svcudp_create(RPC_ANYSOCK);

	if (xprt == NULL || !svc_register(xprt, prog, 1, reply,
				tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return (1);
	puts("ready");
	fflush(stdout);
	for (;;) {
		fd_set set = svc_fdset;

		FD_SET(0, &set);
		if (select(FD_SETSIZE, &set, NULL, NULL, NULL) == -1)
			return (1);
		if (FD_ISSET(0, &set))
			break;
		svc_getreqset(&set);
	}
	svc_unregister(prog, 1);
	return (0);
}
