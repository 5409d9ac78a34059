/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap_set: read mappings from standard input, as pmap_dump or rpcinfo print
 * them, and register each line with the port mapper of this host, for the user
 * whose socket holds the port.
 * pmap_set -u PROG VERS: unregister.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rpc/rpc.h>
#include <rpc/pmap_prot.h>

#include "client.h"
#include "decimal.h"
#include "sockdiag.h"
#include "wire.h"

/* A handle that is connected as the user `client_uid`, or NULL. */
static CLIENT *client;
static uid_t client_uid;

/* What a line is. */
enum line {
	LINE_NOTHING, /* blank, or the header line */
	LINE_MAPPING,
	LINE_MALFORMED
};

static enum line
parse(char *line, struct mapping *m)
{
	const char *field[4], *sep = " \t\r\n";
	char *rest;
	size_t n = 0;

	for (char *f = strtok_r(line, sep, &rest); f != NULL && n < 4;
	     f = strtok_r(NULL, sep, &rest))
		field[n++] = f;
	if (n == 0 || strcmp(field[0], "program") == 0)
		return (LINE_NOTHING);
	if (n < 4 || !decimal_parse_all(field[0], UINT32_MAX, &m->prog) ||
	    !decimal_parse_all(field[1], UINT32_MAX, &m->vers) ||
	    !decimal_parse_all(field[3], PORT_MAX, &m->port) || m->port == 0)
		return (LINE_MALFORMED);
	if (strcmp(field[2], "tcp") == 0)
		m->prot = IPPROTO_TCP;
	else if (strcmp(field[2], "udp") == 0)
		m->prot = IPPROTO_UDP;
	else if (!decimal_parse_all(field[2], UINT8_MAX, &m->prot))
		return (LINE_MALFORMED);
	return (LINE_MAPPING);
}

/*
 * Connect as `uid`, unless `client` is already that user's.  Return false after
 * a line on standard error.
 */
static bool
be_client_of(uid_t uid)
{
	if (client != NULL && client_uid == uid)
		return (true);
	if (client != NULL)
		clnt_destroy(client);
	client = client_open_local("pmap_set", uid);
	client_uid = uid;
	return (client != NULL);
}

/* Call SET or UNSET. */
static enum clnt_stat
call(rpcproc_t proc, struct mapping *m, bool_t *yes)
{
	return (client_call(client, proc, (xdrproc_t)wire_mapping, m,
	    (xdrproc_t)xdr_bool, yes));
}

/*
 * Return the port of the entry with exactly this program, version and protocol,
 * or 0.  GETPORT is no substitute: it can return the port of another version.
 */
static uint32_t
registered(const struct mapping *m)
{
	struct client_mappings list;
	uint32_t port = 0;

	if (client_dump(client, &list) != RPC_SUCCESS)
		return (0);
	for (size_t i = 0; i < list.count; i++) {
		const struct mapping *e = &list.entries[i];

		if (e->prog == m->prog && e->vers == m->vers &&
		    e->prot == m->prot)
			port = e->port;
	}
	free(list.entries);
	return (port);
}

static void
complain(unsigned long line, const struct mapping *m)
{
	fprintf(stderr,
	    "pmap_set: line %lu: program %" PRIu32 " version %" PRIu32 ": ",
	    line, m->prog, m->vers);
}

static struct mapping *wanted;

/* Of several users who hold a port, the one with the lowest uid owns it. */
static void
note_holder(uint32_t prot, uint32_t port, uid_t uid)
{
	(void)prot;
	if (port == wanted->port && uid < wanted->owner)
		wanted->owner = uid;
}

/*
 * Choose the owner of a mapping: the user whose socket holds the port, so that
 * a server can replace and remove its own entry later.  Return false after a
 * line on standard error when no socket does: its server is gone.
 */
static bool
choose_owner(struct mapping *m, unsigned long line, bool keep)
{
	wanted = m;
	m->owner = UID_UNKNOWN;
	if (sockdiag_dump(m->prot, note_holder) == -1)
		m->owner = geteuid();
	if (m->owner == UID_UNKNOWN && !keep) {
		complain(line, m);
		fprintf(stderr,
		    "left out: no socket is bound to port %" PRIu32 "\n",
		    m->port);
		return (false);
	}
	if (m->owner == UID_UNKNOWN || geteuid() != UID_ROOT)
		m->owner = geteuid();
	return (true);
}

/* Register one mapping; false after a line on standard error. */
static bool
set(struct mapping *m, unsigned long line)
{
	enum clnt_stat stat;
	bool_t yes = FALSE;
	uint32_t there;

	if (!be_client_of(m->owner))
		return (false);
	stat = call(PMAPPROC_SET, m, &yes);
	if (stat == RPC_SUCCESS && yes)
		return (true);
	complain(line, m);
	if (stat != RPC_SUCCESS)
		fprintf(stderr, "%s\n", clnt_sperrno(stat));
	else if ((there = registered(m)) != 0 && there != m->port)
		fprintf(stderr,
		    "refused: it is registered at port %" PRIu32 " already\n",
		    there);
	else if (geteuid() != UID_ROOT)
		fprintf(stderr, "refused: only root may register that, or the "
				"port mapper's log says why\n");
	else
		fprintf(stderr, "refused: the port mapper's log says why\n");
	return (false);
}

static int
set_all(bool keep)
{
	unsigned long line_no = 0, failed = 0, mappings = 0;
	char line[1024];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct mapping m = {0};

		line_no++;
		switch (parse(line, &m)) {
		case LINE_NOTHING:
			break;
		case LINE_MALFORMED:
			fprintf(stderr,
			    "pmap_set: line %lu: not a mapping: expected "
			    "PROGRAM VERSION tcp|udp PORT\n",
			    line_no);
			failed++;
			break;
		case LINE_MAPPING:
			mappings++;
			/* each port mapper has its own entries of these */
			if (m.prog != PMAP_PROG &&
			    choose_owner(&m, line_no, keep))
				failed += !set(&m, line_no);
		}
	}
	if (ferror(stdin)) {
		fprintf(
		    stderr, "pmap_set: standard input: %s\n", strerror(errno));
		failed++;
	}
	/* each port mapper registers itself, so there was no list */
	if (mappings == 0 && failed == 0) {
		fprintf(stderr, "pmap_set: no mappings on standard input\n");
		failed++;
	}
	return (failed == 0 ? 0 : 1);
}

static int
unset(uint32_t prog, uint32_t vers)
{
	struct mapping m = {.prog = prog, .vers = vers};
	enum clnt_stat stat;
	bool_t yes = FALSE;

	stat = call(PMAPPROC_UNSET, &m, &yes);
	if (stat == RPC_SUCCESS && yes)
		return (0);
	fprintf(stderr,
	    "pmap_set: program %" PRIu32 " version %" PRIu32 ": %s\n", prog,
	    vers,
	    stat != RPC_SUCCESS
		? clnt_sperrno(stat)
		: "refused: the log of the port mapper says why");
	return (1);
}

static void __attribute__((noreturn)) usage(FILE *to, int status)
{
	fputs("usage: pmap_set [-k] < MAPPINGS\n"
	      "       pmap_set -u PROGRAM VERSION\n",
	    to);
	exit(status);
}

int
main(int argc, char *argv[])
{
	bool keep = false, remove = false;
	uint32_t prog, vers;
	int c, status;

	while (
	    (c = getopt_long(argc, argv, "ku", client_options, NULL)) != -1) {
		if (c == 'k')
			keep = true;
		else if (c == 'u')
			remove = true;
		else if (c == 'h')
			usage(stdout, 0);
		else
			usage(stderr, 2);
	}
	argc -= optind;
	argv += optind;
	if (remove ? keep || argc != 2 ||
			 !decimal_parse_all(argv[0], UINT32_MAX, &prog) ||
			 !decimal_parse_all(argv[1], UINT32_MAX, &vers)
		   : argc != 0)
		usage(stderr, 2);
	if (!be_client_of(geteuid()))
		return (1);
	if (sockdiag_open() == -1)
		fprintf(stderr,
		    "pmap_set: cannot use sock_diag: %s: you will own what is "
		    "registered\n",
		    strerror(errno));
	status = remove ? unset(prog, vers) : set_all(keep);
	if (client != NULL)
		clnt_destroy(client);
	return (status);
}
