/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap_set: read mappings from standard input, as pmap_dump or rpcinfo print
 * them, and register each line with the port mapper of this host, for the user
 * whose socket holds the port.
 * pmap_set -u PROG VERS: unregister.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rpc/rpc.h>
#include <rpc/pmap_clnt.h>
#include <rpc/pmap_prot.h>
#include <rpc/rpcb_clnt.h>

#include "decimal.h"
#include "pmap.h"
#include "sockdiag.h"

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
 * Say why libtirpc could not set or unset; it does not tell a refusal from a
 * port mapper that hangs up.
 */
static void
complain(const struct mapping *m)
{
	fprintf(stderr, "program %" PRIu32 " version %" PRIu32 ": %s\n",
	    m->prog, m->vers,
	    rpc_createerr.cf_stat == RPC_SUCCESS
		? "refused (see `journalctl -u portmap`)"
		: clnt_spcreateerror("is portmap running?"));
}

static void
note_lowest(uid_t uid, void *lowest)
{
	if (uid < *(uid_t *)lowest)
		*(uid_t *)lowest = uid;
}

/*
 * Choose the owner of a mapping: the user whose socket holds the port, so that
 * a server can replace and remove its own entry later.  Return false after a
 * line on standard error when none is found, unless `keep`: its server is gone.
 */
static bool
choose_owner(struct mapping *m, unsigned long line, bool keep)
{
	m->owner = UID_UNKNOWN;
	if (sockdiag_dump(m->prot, m->port, true, note_lowest, &m->owner) == -1)
		m->owner = UID_UNKNOWN; /* it may not be the lowest */
	if (m->owner == UID_UNKNOWN && !keep) {
		fprintf(stderr,
		    "pmap_set: line %lu: program %" PRIu32 " version %" PRIu32
		    ": left out: no socket is bound to port %" PRIu32 "\n",
		    line, m->prog, m->vers, m->port);
		return (false);
	}
	if (m->owner == UID_UNKNOWN || geteuid() != UID_ROOT)
		m->owner = geteuid();
	return (true);
}

/*
 * Register one mapping, as its owner: the port mapper sees the effective uid of
 * who connects.  Return false after a line on standard error.
 */
static bool
set(const struct mapping *m, unsigned long line)
{
	uid_t own = geteuid();
	bool done = false;

	rpc_createerr.cf_stat = RPC_SUCCESS;
	if (m->owner == own || seteuid(m->owner) == 0) {
		done = pmap_set(m->prog, m->vers, (int)m->prot, (int)m->port);
	} else {
		rpc_createerr.cf_stat = RPC_SYSTEMERROR;
		rpc_createerr.cf_error.re_errno = errno;
	}
	if (m->owner != own && seteuid(own) == -1)
		abort(); /* never continue as the wrong user */
	if (!done) {
		fprintf(stderr, "pmap_set: line %lu: ", line);
		complain(m);
	}
	return (done);
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
unset(const struct mapping *m)
{
	rpc_createerr.cf_stat = RPC_SUCCESS;
	if (rpcb_unset(m->prog, m->vers, NULL))
		return (0);
	fputs("pmap_set: ", stderr);
	complain(m);
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
	static const struct option options[] = {
	    {"help", no_argument, NULL, 'h'}, {0}};
	bool keep = false, remove = false;
	struct mapping m = {0};
	int c;

	while ((c = getopt_long(argc, argv, "ku", options, NULL)) != -1) {
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
			 !decimal_parse_all(argv[0], UINT32_MAX, &m.prog) ||
			 !decimal_parse_all(argv[1], UINT32_MAX, &m.vers)
		   : argc != 0)
		usage(stderr, 2);
	if (remove)
		return (unset(&m));
	if (sockdiag_open() == -1)
		fprintf(stderr,
		    "pmap_set: cannot ask who is bound to a port: sock_diag: "
		    "%s: -k registers without asking\n",
		    strerror(errno));
	return (set_all(keep));
}
