/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap_set: read a map from standard input, as pmap_dump or rpcinfo print it,
 * and register each line at the port mapper of this host.
 * pmap_set -u PROG VERS: unregister.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rpc/rpc.h>
#include <rpc/pmap_prot.h>

#include "client.h"
#include "pmap.h"
#include "wire.h"

static const struct timeval patience = {10, 0};

/* A number and nothing else. */
static bool
number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	return (text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
		errno == 0 && *value <= max);
}

/* What a line is. */
enum line {
	LINE_NOTHING, /* blank, or the headline */
	LINE_MAPPING,
	LINE_MALFORMED
};

static enum line
parse(char *line, struct pmap *m)
{
	const char *field[4], *sep = " \t\r\n";
	char *rest;
	size_t n = 0;

	for (char *f = strtok_r(line, sep, &rest); f != NULL && n < 4;
	     f = strtok_r(NULL, sep, &rest))
		field[n++] = f;
	if (n == 0 || strcmp(field[0], "program") == 0)
		return (LINE_NOTHING);
	if (n < 4 || !number(field[0], UINT32_MAX, &m->pm_prog) ||
	    !number(field[1], UINT32_MAX, &m->pm_vers) ||
	    !number(field[3], PORT_MAX, &m->pm_port) || m->pm_port == 0)
		return (LINE_MALFORMED);
	if (strcmp(field[2], "tcp") == 0)
		m->pm_prot = IPPROTO_TCP;
	else if (strcmp(field[2], "udp") == 0)
		m->pm_prot = IPPROTO_UDP;
	else if (!number(field[2], UINT8_MAX, &m->pm_prot))
		return (LINE_MALFORMED);
	return (LINE_MAPPING);
}

/* SET or UNSET. */
static enum clnt_stat
call(CLIENT *client, rpcproc_t proc, struct pmap *m, bool_t *yes)
{
	return (clnt_call(client, proc, (xdrproc_t)xdr_pmap, (char *)m,
	    (xdrproc_t)xdr_bool, (char *)yes, patience));
}

/* The port that this very mapping is registered at, or 0. */
static unsigned long
registered(CLIENT *client, const struct pmap *m)
{
	struct pmaplist *list = NULL;
	unsigned long port = 0;

	/* not by GETPORT, which answers with another version, too */
	if (clnt_call(client, PMAPPROC_DUMP, (xdrproc_t)wire_void, NULL,
		(xdrproc_t)xdr_pmaplist, (char *)&list,
		patience) != RPC_SUCCESS)
		return (0);
	for (const struct pmaplist *l = list; l != NULL; l = l->pml_next)
		if (l->pml_map.pm_prog == m->pm_prog &&
		    l->pml_map.pm_vers == m->pm_vers &&
		    l->pml_map.pm_prot == m->pm_prot)
			port = l->pml_map.pm_port;
	clnt_freeres(client, (xdrproc_t)xdr_pmaplist, (char *)&list);
	return (port);
}

/* Register one mapping: true, or false after a line that says why not. */
static bool
set(CLIENT *client, struct pmap *m, unsigned long line)
{
	enum clnt_stat stat;
	unsigned long there;
	bool_t yes = FALSE;

	stat = call(client, PMAPPROC_SET, m, &yes);
	if (stat == RPC_SUCCESS && yes)
		return (true);
	fprintf(stderr, "pmap_set: line %lu: program %lu version %lu: ", line,
	    m->pm_prog, m->pm_vers);
	if (stat != RPC_SUCCESS)
		fprintf(stderr, "%s\n", clnt_sperrno(stat));
	else if ((there = registered(client, m)) != 0 && there != m->pm_port)
		fprintf(stderr,
		    "refused: it is registered at port %lu already\n", there);
	else if (geteuid() != 0)
		fprintf(stderr, "refused: only root may register that, or the "
				"port mapper's log says why\n");
	else
		fprintf(stderr, "refused: the port mapper's log says why\n");
	return (false);
}

static int
set_all(CLIENT *client)
{
	unsigned long line_no = 0, failed = 0;
	char line[1024];
	struct pmap m;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line_no++;
		switch (parse(line, &m)) {
		case LINE_NOTHING:
			break;
		case LINE_MALFORMED:
			fprintf(stderr,
			    "pmap_set: line %lu: not a mapping: it is PROGRAM "
			    "VERSION tcp|udp PORT\n",
			    line_no);
			failed++;
			break;
		case LINE_MAPPING:
			/* the port mapper's own differ from one to the other */
			if (m.pm_prog != PMAPPROG)
				failed += !set(client, &m, line_no);
		}
	}
	if (ferror(stdin)) {
		fprintf(
		    stderr, "pmap_set: standard input: %s\n", strerror(errno));
		failed++;
	}
	return (failed == 0 ? 0 : 1);
}

static int
unset(CLIENT *client, unsigned long prog, unsigned long vers)
{
	struct pmap m = {.pm_prog = prog, .pm_vers = vers};
	enum clnt_stat stat;
	bool_t yes = FALSE;

	stat = call(client, PMAPPROC_UNSET, &m, &yes);
	if (stat == RPC_SUCCESS && yes)
		return (0);
	fprintf(stderr, "pmap_set: program %lu version %lu: %s\n", prog, vers,
	    stat != RPC_SUCCESS ? clnt_sperrno(stat)
				: "refused: it is not yours");
	return (1);
}

static int
usage(void)
{
	fprintf(stderr, "usage: pmap_set < MAP\n"
			"       pmap_set -u PROGRAM VERSION\n");
	return (2);
}

int
main(int argc, char *argv[])
{
	unsigned long prog = 0, vers = 0;
	bool remove = argc > 1 && strcmp(argv[1], "-u") == 0;
	CLIENT *client;
	int status;

	if (remove ? argc != 4 || !number(argv[2], UINT32_MAX, &prog) ||
			 !number(argv[3], UINT32_MAX, &vers)
		   : argc != 1)
		return (usage());
	if ((client = client_open("pmap_set", "127.0.0.1")) == NULL)
		return (1);
	status = remove ? unset(client, prog, vers) : set_all(client);
	clnt_destroy(client);
	return (status);
}
