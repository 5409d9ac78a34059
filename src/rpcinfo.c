/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpcinfo: ask a port mapper what is registered, and call procedure 0 of RPC
 * servers.  Takes the options of rpcbind's rpcinfo, and prints the same, over
 * version 2 of the port mapper protocol.  Under the name pmap_dump it prints
 * what is registered, also from the file of a daemon that does not run.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netconfig.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <rpc/rpc.h>
#include <rpc/pmap_prot.h>
#include <rpc/rpcb_clnt.h>

#include "decimal.h"
#include "store.h"
#include "wire.h"

enum {
	SILENCE_S = 10,     /* to wait for a reply */
	REPLY_S = 30,       /* and for the end of it, however it drips */
	RETRY_S = 5,        /* UDP calls are sent again */
	VERSIONS_MAX = 256, /* to call without being asked for one */
	LIST_MAX = 65536,   /* entries; portmap has 16386 at most */
	WORDS_LEN = 256     /* bytes of a list of versions */
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

/* What a port mapper has, without the owners, which version 2 does not tell. */
static struct mapping entries[LIST_MAX];
static size_t count;

static const struct option help[] = {{"help", no_argument, NULL, 'h'}, {0}};
static const char *program = "rpcinfo"; /* under which name we run */

static void __attribute__((noreturn)) usage(FILE *to, int status)
{
	fputs(strcmp(program, "pmap_dump") == 0
		  ? "usage: pmap_dump [-p] [HOST]\n"
		    "       pmap_dump -f FILE\n"
		  : "usage: rpcinfo [-p | -s] [HOST]\n"
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

	fprintf(stderr, "%s: ", program);
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

/*
 * The port mapper, and what it has.
 */

/* Look up the IPv4 address of a name. */
static struct sockaddr_in
resolve(const char *host, in_port_t port)
{
	const struct addrinfo hints = {
	    .ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct sockaddr_in addr;
	struct addrinfo *found;
	int error = getaddrinfo(host, NULL, &hints, &found);

	if (error != 0)
		fail("%s: %s", host, gai_strerror(error));
	memcpy(&addr, found->ai_addr, sizeof(addr));
	freeaddrinfo(found);
	addr.sin_port = htons(port);
	return (addr);
}

static CLIENT *
open_local(void)
{
	struct sockaddr_un addr = {
	    .sun_family = AF_UNIX, .sun_path = PMAP_LOCAL_PATH};
	struct netbuf buf = {sizeof(addr), sizeof(addr), &addr};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLIENT *client;

	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1)
		fail("cannot connect to " PMAP_LOCAL_PATH
		     ": %s: is portmap running?",
		    strerror(errno));
	client = clnt_vc_create(fd, &buf, PMAP_PROG, PMAPVERS, 0, 0);
	if (client == NULL)
		fail("%s", clnt_sperrno(rpc_createerr.cf_stat));
	return (client);
}

static CLIENT *
open_tcp(const char *host)
{
	struct sockaddr_in addr = resolve(host, PMAP_PORT);
	int fd = RPC_ANYSOCK;
	CLIENT *client = clnttcp_create(&addr, PMAP_PROG, PMAPVERS, &fd, 0, 0);

	if (client == NULL)
		fail("%s", clnt_spcreateerror(host));
	return (client);
}

static void
on_deadline(union sigval value)
{
	(void)value;
	dprintf(STDERR_FILENO, "%s: the reply has no end\n", program);
	_exit(1);
}

/*
 * Call a procedure, and wait for all of the reply.  libtirpc waits as long as
 * bytes come, and blocks all signals meanwhile, so the deadline is a thread's.
 */
static enum clnt_stat
call(CLIENT *client, rpcproc_t proc, xdrproc_t decode, void *results)
{
	static const struct timeval timeout = {.tv_sec = SILENCE_S};
	const struct itimerspec deadline = {.it_value.tv_sec = REPLY_S};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD};
	enum clnt_stat stat;
	timer_t timer;

	event.sigev_notify_function = on_deadline;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) == -1 ||
	    timer_settime(timer, 0, &deadline, NULL) == -1)
		fail("cannot set a timer: %s", strerror(errno));
	stat = clnt_call(
	    client, proc, (xdrproc_t)wire_void, NULL, decode, results, timeout);
	timer_delete(timer);
	return (stat);
}

/*
 * RFC 1833 section 3.1, pmaplist.  libtirpc's xdr_pmaplist() reads memory that
 * it has freed when it frees a list (1.3.7), and keeps 64 bits of a number.
 */
static bool_t
decode_list(XDR *xdrs, void *nothing)
{
	bool_t more;

	(void)nothing;
	while (xdr_bool(xdrs, &more)) {
		if (!more)
			return (TRUE);
		if (count == LIST_MAX || !wire_mapping(xdrs, &entries[count]))
			break;
		count++;
	}
	return (FALSE);
}

/* Ask a host what is registered, or with NULL the local socket. */
static void
ask_for_list(const char *host)
{
	CLIENT *client = host == NULL ? open_local() : open_tcp(host);

	if (call(client, PMAPPROC_DUMP, (xdrproc_t)decode_list, NULL) !=
	    RPC_SUCCESS)
		fail("%s", clnt_sperror(client, host == NULL ? "" : host));
	clnt_destroy(client);
}

static int
by_order(const void *a, const void *b)
{
	const struct slot *s = a, *t = b;

	return ((s->order > t->order) - (s->order < t->order));
}

/* Read the file that a daemon keeps (store.h, table.h). */
static void
read_file(const char *path)
{
	static struct slot slots[TABLE_SLOTS];
	char head[STORE_HEAD];
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		fail("%s: %s", path, strerror(errno));
	if (fread(head, sizeof(head), 1, f) != 1 ||
	    strncmp(head, STORE_FORMAT, strlen(STORE_FORMAT)) != 0)
		fail("%s: not a file of portmap's", path);
	n = fread(slots, sizeof(slots[0]), TABLE_SLOTS, f);
	fclose(f);
	qsort(slots, n, sizeof(slots[0]), by_order);
	for (size_t i = 0; i < n; i++)
		if (slots[i].used)
			entries[count++] = slots[i].m;
}

/*
 * Printing it, in the columns of rpcbind's rpcinfo.
 */

/* Return the name of a protocol, or its number until the next call. */
static const char *
netid_of(uint32_t prot)
{
	static char number[16];

	if (prot == IPPROTO_TCP)
		return ("tcp");
	if (prot == IPPROTO_UDP)
		return ("udp");
	snprintf(number, sizeof(number), "%" PRIu32, prot);
	return (number);
}

static const char *
name_of(uint32_t prog, const char *otherwise)
{
	const struct rpcent *entry = getrpcbynumber((int)prog);

	return (entry == NULL ? otherwise : entry->r_name);
}

static void
print_ports(void)
{
	puts("   program vers proto   port  service");
	for (const struct mapping *m = entries; m < entries + count; m++) {
		const char *name = name_of(m->prog, "");

		printf("%10" PRIu32 "%5" PRIu32 "%6s%7" PRIu32 "%s%s\n",
		    m->prog, m->vers, netid_of(m->prot), m->port,
		    name[0] == '\0' ? "" : "  ", name);
	}
}

/* As universal addresses.  Version 2 knows no owner and no address. */
static void
print_addresses(void)
{
	char address[32];

	puts("   program version netid     address                service    "
	     "owner");
	for (const struct mapping *m = entries; m < entries + count; m++) {
		snprintf(address, sizeof(address), "0.0.0.0.%u.%u",
		    m->port >> 8, m->port & 0xff);
		printf("%10" PRIu32 "%5" PRIu32
		       "    %-9s %-22s %-10s unknown\n",
		    m->prog, m->vers, netid_of(m->prot), address,
		    name_of(m->prog, "-"));
	}
}

/* Prepend a word to a list of words with commas, unless it is in it. */
static void
prepend(char list[WORDS_LEN], const char *word)
{
	size_t len = strlen(word), n;
	char rest[WORDS_LEN];

	for (const char *p = list; *p != '\0'; p += n + (p[n] == ',')) {
		n = strcspn(p, ",");
		if (n == len && memcmp(p, word, n) == 0)
			return;
	}
	memcpy(rest, list, sizeof(rest));
	snprintf(list, WORDS_LEN, "%s%s%.*s", word, rest[0] == '\0' ? "" : ",",
	    (int)(WORDS_LEN - len - 2), rest);
}

struct item {
	const struct mapping *m;
};

/* By program, and in the order of the list. */
static int
by_program(const void *a, const void *b)
{
	const struct mapping *m = ((const struct item *)a)->m;
	const struct mapping *n = ((const struct item *)b)->m;

	if (m->prog != n->prog)
		return (m->prog > n->prog ? 1 : -1);
	return ((m > n) - (m < n));
}

/* The entries of one program. */
struct group {
	const struct item *first;
	size_t count;
};

static int
by_first(const void *a, const void *b)
{
	const struct mapping *m = ((const struct group *)a)->first->m;
	const struct mapping *n = ((const struct group *)b)->first->m;

	return ((m > n) - (m < n));
}

/* Print one line for each program, in the order of their first entries. */
static void
print_summary(void)
{
	static struct item sorted[LIST_MAX];
	static struct group groups[LIST_MAX];
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		sorted[i].m = &entries[i];
	qsort(sorted, count, sizeof(sorted[0]), by_program);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || sorted[i].m->prog != sorted[i - 1].m->prog)
			groups[n++].first = &sorted[i];
		groups[n - 1].count++;
	}
	qsort(groups, n, sizeof(groups[0]), by_first);
	puts("   program version(s) netid(s)                         service  "
	     "   owner");
	for (size_t i = 0; i < n; i++) {
		char versions[WORDS_LEN] = "", netids[WORDS_LEN] = "";
		uint32_t prog = groups[i].first->m->prog;

		for (size_t j = 0; j < groups[i].count; j++) {
			const struct mapping *m = groups[i].first[j].m;
			char number[16];

			snprintf(number, sizeof(number), "%" PRIu32, m->vers);
			prepend(versions, number);
			prepend(netids, netid_of(m->prot));
		}
		printf("%10" PRIu32 "  %-10s%-32s %-11s unknown\n", prog,
		    versions, netids, name_of(prog, "-"));
	}
}

static int
print_list(char mode)
{
	if (count == 0)
		puts("No remote programs registered.");
	else if (mode == 'p')
		print_ports();
	else if (mode == 's')
		print_summary();
	else
		print_addresses();
	return (fflush(stdout) == EOF ? 1 : 0);
}

/*
 * Calls of procedure 0.
 */

static enum clnt_stat
ping(CLIENT *client, rpcvers_t vers)
{
	clnt_control(client, CLSET_VERS, (void *)&vers);
	return (call(client, NULLPROC, (xdrproc_t)wire_void, NULL));
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
	else
		addr = resolve(host, r->port);
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
ping_all(const struct request *r, const char *host, const char *name,
    const char *version)
{
	rpcprog_t prog = program_of(name);
	rpcvers_t low = version == NULL ? 0 : version_of(version), high = low;
	CLIENT *client = connect_to(r, host, prog, low);
	int status = 0;

	if (version == NULL)
		find_versions(client, prog, &low, &high);
	if (high - low >= VERSIONS_MAX)
		fail("%s has versions %lu to %lu: name one", name,
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
broadcast(const char *name, const char *version)
{
	rpcprog_t prog = program_of(name);
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
unregister(const struct request *r, const char *name, const char *version)
{
	rpcprog_t prog = program_of(name);
	rpcvers_t vers = version_of(version);
	struct netconfig *conf = NULL;

	if (r->netid != NULL && (conf = getnetconfigent(r->netid)) == NULL)
		fail("unknown transport: %s", r->netid);
	rpc_createerr.cf_stat = RPC_SUCCESS;
	if (!rpcb_unset(prog, vers, conf))
		fail("Could not delete registration for prog %s version %s: %s",
		    name, version,
		    rpc_createerr.cf_stat == RPC_SUCCESS
			? "refused (see `journalctl -u portmap`)"
			: clnt_spcreateerror("is portmap running?"));
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

	while (
	    (c = getopt_long(argc, argv, "a:bdlmn:pstT:u", help, NULL)) != -1) {
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

/* pmap_dump is `rpcinfo -p` for hosts that have another rpcinfo. */
static int
pmap_dump(int argc, char *argv[])
{
	const char *file = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "f:p", help, NULL)) != -1) {
		if (c == 'h')
			usage(stdout, 0);
		if (c == 'f')
			file = optarg;
		else if (c != 'p') /* which means nothing here */
			usage(stderr, 2);
	}
	if (argc - optind > (file == NULL))
		usage(stderr, 2);
	if (file != NULL)
		read_file(file);
	else
		ask_for_list(optind < argc ? argv[optind] : "127.0.0.1");
	return (print_list('p'));
}

int
main(int argc, char *argv[])
{
	struct request r = {.mode = LIST};
	const char *word[4] = {NULL};
	size_t words = 0;

	if (strcmp(program_invocation_short_name, "pmap_dump") == 0) {
		program = "pmap_dump";
		return (pmap_dump(argc, argv));
	}
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
		if (words > 1)
			break;
		ask_for_list(word[0]);
		return (print_list(r.mode));
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
