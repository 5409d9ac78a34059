/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap_dump [-p] [HOST]: print the map of a port mapper, in the columns of
 * `rpcinfo -p`.
 */
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"

static void
print(const struct mapping *m)
{
	const struct rpcent *service = getrpcbynumber((int)m->prog);
	char number[16];
	const char *prot = number;

	if (m->prot == IPPROTO_TCP)
		prot = "tcp";
	else if (m->prot == IPPROTO_UDP)
		prot = "udp";
	else
		snprintf(number, sizeof(number), "%" PRIu32, m->prot);
	printf("%10" PRIu32 "%5" PRIu32 "%6s%7" PRIu32, m->prog, m->vers, prot,
	    m->port);
	if (service != NULL)
		printf("  %s", service->r_name);
	putchar('\n');
}

int
main(int argc, char *argv[])
{
	const char *host = "127.0.0.1";
	struct client_mappings list;
	enum clnt_stat stat;
	CLIENT *client;
	int c;

	while ((c = getopt(argc, argv, "p")) != -1) {
		if (c != 'p') { /* which means nothing here */
			fprintf(stderr, "usage: pmap_dump [-p] [HOST]\n");
			return (2);
		}
	}
	if (argc - optind > 1) {
		fprintf(stderr, "usage: pmap_dump [-p] [HOST]\n");
		return (2);
	}
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
	printf("   program vers proto   port  service\n");
	for (size_t i = 0; i < list.count; i++)
		print(&list.entries[i]);
	free(list.entries);
	return (fflush(stdout) == EOF ? 1 : 0);
}
