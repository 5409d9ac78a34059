/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpcinfo: ask a port mapper what is registered, and call procedure 0 of RPC
 * servers.  Takes the options of rpcbind's rpcinfo, and prints the same, over
 * version 2 of the port mapper protocol.
 */
#include <netconfig.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <rpc/rpc.h>
#include <rpc/rpcb_clnt.h>

#include "client.h"
#include "decimal.h"
#include "listing.h"
#include "wire.h"

enum {
	RETRY_S = 5,       /* UDP calls are sent again */
	VERSIONS_MAX = 256 /* to call without being asked for one */
};

/* A mode that has no option: the list, and a call with -T. */
enum {
	LIST = 'L',
	PING = 'P'
};

/* What the command line asks for. */
struct request {
	char mode;           /* an option, LIST or PING */
	const char *netid;   /* -T */
	const char *address; /* -a: universal address */
	in_port_t port;      /* -n, or 0 */
	bool datagram;       /* over UDP */
};

static void __attribute__((noreturn)) usage(FILE *to, int status)
{
	fputs("usage: rpcinfo [-p | -s] [HOST]\n"
	      "       rpcinfo [-n PORT] -u | -t HOST PROGRAM [VERSION]\n"
	      "       rpcinfo -T udp | tcp HOST PROGRAM [VERSION]\n"
	      "       rpcinfo -a ADDRESS -T udp | tcp PROGRAM [VERSION]\n"
	      "       rpcinfo -b PROGRAM VERSION\n"
	      "       rpcinfo -d [-T NETID] PROGRAM VERSION\n",
	    to);
	exit(status);
}

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *fmt, ...)
{
	va_list ap;

	fputs("rpcinfo: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	putc('\n', stderr);
	exit(1);
}

/* Parse a number, which can begin with zeros. */
static bool
number_of(const char *text, uint32_t *number)
{
	while (text[0] == '0' && text[1] != '\0')
		text++;
	return (decimal_parse_all(text, UINT32_MAX, number));
}

static rpcprog_t
program_of(const char *text)
{
	const struct rpcent *entry;
	uint32_t number;

	if (number_of(text, &number))
		return (number);
	if ((entry = getrpcbyname(text)) == NULL)
		fail("%s is unknown service", text);
	return ((rpcprog_t)entry->r_number);
}

static rpcvers_t
version_of(const char *text)
{
	uint32_t number;

	if (!number_of(text, &number))
		fail("%s is illegal version number", text);
	return (number);
}

/* Print what is registered at a host, or with NULL on the local socket. */
static int
list(char mode, const char *host)
{
	CLIENT *client = host == NULL ? client_open_local("rpcinfo", geteuid())
				      : client_open("rpcinfo", host);
	struct client_mappings all;

	if (client == NULL)
		return (1);
	if (client_dump(client, &all) != RPC_SUCCESS)
		fail("%s", clnt_sperror(client, host == NULL ? "" : host));
	clnt_destroy(client);
	if (all.count == 0)
		puts("No remote programs registered.");
	else if (mode == 'p')
		listing_ports(&all);
	else if (mode == 's')
		listing_summary(&all);
	else
		listing_addresses(&all);
	free(all.entries);
	return (fflush(stdout) == EOF ? 1 : 0);
}

/*
 * Calls of procedure 0.
 */

static enum clnt_stat
ping(CLIENT *client, rpcvers_t vers)
{
	clnt_control(client, CLSET_VERS, (void *)&vers);
	return (client_call(client, NULLPROC, (xdrproc_t)wire_void, NULL,
	    (xdrproc_t)wire_void, NULL));
}

/* Print whether a version replied. */
static void
report(CLIENT *client, rpcprog_t prog, rpcvers_t vers, enum clnt_stat stat)
{
	if (stat != RPC_SUCCESS)
		clnt_perror(client, "rpcinfo");
	printf("program %lu version %lu %s\n", (unsigned long)prog,
	    (unsigned long)vers,
	    stat == RPC_SUCCESS ? "ready and waiting" : "is not available");
}

/*
 * Ask for versions that no server has: the error names the lowest and the
 * highest that it has (PROG_MISMATCH, RFC 5531 section 9).  Exit if there is
 * none.
 */
static void
find_versions(CLIENT *client, rpcprog_t prog, rpcvers_t *low, rpcvers_t *high)
{
	const rpcvers_t impossible[] = {0, UINT32_MAX};
	enum clnt_stat stat = RPC_SUCCESS;
	rpcvers_t vers = 0;
	struct rpc_err error;

	for (size_t i = 0; i < 2 && stat == RPC_SUCCESS; i++)
		stat = ping(client, vers = impossible[i]);
	*low = *high = 0; /* it takes every version */
	if (stat == RPC_SUCCESS)
		return;
	if (stat != RPC_PROGVERSMISMATCH) {
		report(client, prog, vers, stat);
		exit(1);
	}
	clnt_geterr(client, &error);
	*low = (rpcvers_t)error.re_vers.low;
	*high = (rpcvers_t)error.re_vers.high;
}

/* Parse the universal address of -a: RFC 5665 section 5.2.3. */
static struct sockaddr_in
parse_address(const char *text)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	char host[INET_ADDRSTRLEN] = "";
	int32_t port = wire_uaddr(text);
	size_t len = 0;

	for (int dots = 0; text[len] != '\0'; len++)
		if (text[len] == '.' && ++dots == 4)
			break;
	if (port > 0 && len < sizeof(host))
		memcpy(host, text, len);
	if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
		fail("%s is not an address such as 192.0.2.1.0.111", text);
	addr.sin_port = htons((in_port_t)port);
	return (addr);
}

/* Connect to a server.  Without a port, libtirpc asks the port mapper. */
static CLIENT *
connect_to(
    const struct request *r, const char *host, rpcprog_t prog, rpcvers_t vers)
{
	static const struct timeval retry = {.tv_sec = RETRY_S};
	struct sockaddr_in addr;
	int fd = RPC_ANYSOCK;
	CLIENT *client;

	if (r->address != NULL)
		addr = parse_address(r->address);
	else if (client_resolve("rpcinfo", host, r->port, &addr) == -1)
		exit(1);
	client = r->datagram ? clntudp_create(&addr, prog, vers, retry, &fd)
			     : clnttcp_create(&addr, prog, vers, &fd, 0, 0);
	if (client == NULL) {
		clnt_pcreateerror(r->netid != NULL ? "rpcinfo" : host);
		exit(1);
	}
	return (client);
}

/* Call a version of a program, or with NULL each that it has. */
static int
ping_all(const struct request *r, const char *host, const char *program,
    const char *version)
{
	rpcprog_t prog = program_of(program);
	rpcvers_t low = version == NULL ? 0 : version_of(version), high = low;
	CLIENT *client = connect_to(r, host, prog, low);
	int status = 0;

	if (version == NULL)
		find_versions(client, prog, &low, &high);
	if (high - low >= VERSIONS_MAX)
		fail("%s has versions %lu to %lu: name one", program,
		    (unsigned long)low, (unsigned long)high);
	for (rpcvers_t vers = low; vers <= high; vers++) {
		enum clnt_stat stat = ping(client, vers);

		report(client, prog, vers, stat);
		if (stat != RPC_SUCCESS)
			status = 1;
		if (vers == UINT32_MAX)
			break;
	}
	clnt_destroy(client);
	return (status);
}

/*
 * Broadcasts, and removal.
 */

static bool_t
print_reply(
    caddr_t results, const struct netbuf *from, const struct netconfig *conf)
{
	char host[NI_MAXHOST] = "unknown";
	const struct sockaddr *addr = from->buf;
	char *uaddr = taddr2uaddr(conf, from);

	(void)results;
	(void)getnameinfo(
	    addr, from->len, host, sizeof(host), NULL, 0, NI_NAMEREQD);
	printf("%s\t%s\n", uaddr == NULL ? "unknown" : uaddr, host);
	free(uaddr);
	return (FALSE); /* more replies may come */
}

static int
broadcast(const char *program, const char *version)
{
	rpcprog_t prog = program_of(program);
	rpcvers_t vers = version_of(version);
	enum clnt_stat stat;

	setlinebuf(stdout); /* replies arrive for seconds */
	stat = rpc_broadcast(prog, vers, NULLPROC, (xdrproc_t)wire_void, NULL,
	    (xdrproc_t)wire_void, NULL, (resultproc_t)print_reply, NULL);

	if (stat != RPC_SUCCESS && stat != RPC_TIMEDOUT)
		fail("broadcast failed: %s", clnt_sperrno(stat));
	return (0);
}

/* Remove a version, on every transport or on that of -T. */
static int
unregister(const struct request *r, const char *program, const char *version)
{
	rpcprog_t prog = program_of(program);
	rpcvers_t vers = version_of(version);
	struct netconfig *conf = NULL;

	if (r->netid != NULL && (conf = getnetconfigent(r->netid)) == NULL)
		fail("unknown transport: %s", r->netid);
	if (!rpcb_unset(prog, vers, conf))
		fail("Could not delete registration for prog %s version %s",
		    program, version);
	if (conf != NULL)
		freenetconfigent(conf);
	return (0);
}

/*
 * The command line.
 */

/* Note the mode; two of them exclude each other. */
static void
set_mode(struct request *r, char mode)
{
	if (r->mode != LIST)
		usage(stderr, 1);
	r->mode = mode;
}

static in_port_t
port_of(const char *text)
{
	uint32_t port;

	if (!decimal_parse_all(text, PORT_MAX, &port) || port == 0)
		fail("%s is illegal port number", text);
	return ((in_port_t)port);
}

static void
parse(int argc, char *argv[], struct request *r)
{
	int c;

	while ((c = getopt_long(argc, argv, "a:bdlmn:pstT:u", client_options,
		    NULL)) != -1) {
		switch (c) {
		case 'a':
			r->address = optarg;
			break;
		case 'n':
			r->port = port_of(optarg);
			break;
		case 'T':
			r->netid = optarg;
			break;
		case 'h':
			usage(stdout, 0);
		case '?':
			usage(stderr, 1);
		default:
			set_mode(r, (char)c);
		}
	}
	r->datagram = r->mode == 'u';
	if (r->mode == LIST && r->netid != NULL) {
		r->mode = PING;
		r->datagram = strcmp(r->netid, "udp") == 0;
		if (!r->datagram && strcmp(r->netid, "tcp") != 0)
			fail("-T %s: only udp and tcp, because lookups are of "
			     "version 2, over IPv4",
			    r->netid);
	}
	if (r->address != NULL && r->mode != PING)
		usage(stderr, 1);
}

int
main(int argc, char *argv[])
{
	struct request r = {.mode = LIST};
	const char *word[4] = {NULL};
	size_t words = 0;

	parse(argc, argv, &r);
	if (r.address != NULL)
		word[words++] = ""; /* in the place of the host */
	while (optind < argc && words < 4)
		word[words++] = argv[optind++];
	switch (r.mode) {
	case 'm':
	case 'l':
		fail("-%c needs version 4 of rpcbind, and this is for version "
		     "2",
		    r.mode);
	case LIST:
	case 'p':
	case 's':
		if (words <= 1)
			return (list(r.mode, word[0]));
		break;
	case 'b':
	case 'd':
		if (words == 2)
			return (r.mode == 'b'
				    ? broadcast(word[0], word[1])
				    : unregister(&r, word[0], word[1]));
		break;
	default:
		if (words == 2 || words == 3)
			return (ping_all(&r, word[0], word[1], word[2]));
	}
	usage(stderr, 1);
}
