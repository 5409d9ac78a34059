/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap_dump [-p] [HOST]: print the map of a port mapper, in the columns of
 * `rpcinfo -p`.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rpc/rpc.h>
#include <rpc/pmap_prot.h>

#include "client.h"
#include "wire.h"

static void
print(const struct pmap *m)
{
	const struct rpcent *service = getrpcbynumber((int)m->pm_prog);
	char number[16];
	const char *prot = number;

	if (m->pm_prot == IPPROTO_TCP)
		prot = "tcp";
	else if (m->pm_prot == IPPROTO_UDP)
		prot = "udp";
	else
		snprintf(number, sizeof(number), "%lu", m->pm_prot);
	printf("%10lu%5lu%6s%7lu", m->pm_prog, m->pm_vers, prot, m->pm_port);
	if (service != NULL)
		printf("  %s", service->r_name);
	putchar('\n');
}

int
main(int argc, char *argv[])
{
	static const struct timeval patience = {10, 0};
	const char *host = "127.0.0.1";
	struct pmaplist *list = NULL;
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
	stat = clnt_call(client, PMAPPROC_DUMP, (xdrproc_t)wire_void, NULL,
	    (xdrproc_t)xdr_pmaplist, (char *)&list, patience);
	if (stat != RPC_SUCCESS) {
		fprintf(
		    stderr, "pmap_dump: %s: %s\n", host, clnt_sperrno(stat));
		return (1);
	}
	printf("   program vers proto   port  service\n");
	for (const struct pmaplist *l = list; l != NULL; l = l->pml_next)
		print(&l->pml_map);
	clnt_freeres(client, (xdrproc_t)xdr_pmaplist, (char *)&list);
	clnt_destroy(client);
	return (fflush(stdout) == EOF ? 1 : 0);
}
