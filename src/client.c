/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <rpc/pmap_prot.h>

#include "pmap.h"

CLIENT *
client_open(const char *program, const char *host)
{
	const struct addrinfo hints = {
	    .ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	int fd = RPC_ANYSOCK, error;
	struct addrinfo *found;
	struct sockaddr_in addr;
	CLIENT *client;

	if ((error = getaddrinfo(host, NULL, &hints, &found)) != 0) {
		fprintf(
		    stderr, "%s: %s: %s\n", program, host, gai_strerror(error));
		return (NULL);
	}
	memcpy(&addr, found->ai_addr, sizeof(addr));
	freeaddrinfo(found);
	addr.sin_port = htons(PMAP_PORT);
	client = clnttcp_create(&addr, PMAPPROG, PMAPVERS, &fd, 0, 0);
	if (client == NULL)
		fprintf(stderr, "%s: no port mapper answers at %s: %s\n",
		    program, host, clnt_sperrno(rpc_createerr.cf_stat));
	return (client);
}
