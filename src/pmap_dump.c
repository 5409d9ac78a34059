/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap_dump [-p] [HOST]: print the mappings of a port mapper, in the columns of
 * `rpcinfo -p`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "listing.h"

static void __attribute__((noreturn)) usage(FILE *to, int status)
{
	fputs("usage: pmap_dump [-p] [HOST]\n", to);
	exit(status);
}

int
main(int argc, char *argv[])
{
	const char *host = "127.0.0.1";
	struct client_mappings list;
	enum clnt_stat stat;
	CLIENT *client;
	int c;

	while ((c = getopt_long(argc, argv, "p", client_options, NULL)) != -1) {
		if (c == 'h')
			usage(stdout, 0);
		if (c != 'p') /* which means nothing here */
			usage(stderr, 2);
	}
	if (argc - optind > 1)
		usage(stderr, 2);
	if (optind < argc)
		host = argv[optind];
	if ((client = client_open("pmap_dump", host)) == NULL)
		return (1);
	stat = client_dump(client, &list);
	clnt_destroy(client);
	if (stat != RPC_SUCCESS) {
		fprintf(
		    stderr, "pmap_dump: %s: %s\n", host, clnt_sperrno(stat));
		return (1);
	}
	listing_ports(&list);
	free(list.entries);
	return (fflush(stdout) == EOF ? 1 : 0);
}
