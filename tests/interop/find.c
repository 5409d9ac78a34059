/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client as libtirpc's users write them: `find HOST PROG VERS udp|tcp` looks
 * the server up by clnt_create() and prints what its procedure 1 replies.
 */
#include <stdio.h>
#include <stdlib.h>

#include <rpc/rpc.h>

int
main(int argc, char *argv[])
{
	static const struct timeval patience = {5, 0};
	CLIENT *client;
	int reply = 0;

	if (argc != 5)
		return (2);
	client = clnt_create(argv[1], (rpcprog_t)strtoul(argv[2], NULL, 0),
	    (rpcvers_t)strtoul(argv[3], NULL, 0), argv[4]);
	if (client == NULL) {
		clnt_pcreateerror("find");
		return (1);
	}
	if (clnt_call(client, 1, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_int,
		(char *)&reply, patience) != RPC_SUCCESS) {
		clnt_perror(client, "find");
		return (1);
	}
	printf("reply %d by %s\n", reply, argv[4]);
	clnt_destroy(client);
	return (0);
}
