/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main(): options, and the order in which the daemon comes up.  What needs
 * privileges stands above priv_drop(), what serves strangers below it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "crowd.h"
#include "daemon.h"
#include "datagram.h"
#include "door.h"
#include "doors.h"
#include "forward.h"
#include "journal.h"
#include "links.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "nets.h"
#include "owner.h"
#include "priv.h"
#include "registry.h"
#include "service.h"
#include "stream.h"
#include "table.h"

#ifndef VERSION
#define VERSION "unknown"
#endif
#ifndef RPCUSER
#define RPCUSER "daemon"
#endif
#define RUN_DIR "/run/portmap"

struct options {
	bool foreground;
	bool verbose;
	bool loopback;
	struct door_plan plan;
	struct nets guests;
	enum callit_who callit;
	bool keep;
	const char *journal; /* NULL: the usual one */
	const char *user;    /* NULL: the default */
	const char *group;
};

static struct table *table;
static int stopped_by;

static void __attribute__((noreturn)) usage(const char *problem, int option)
{
	fprintf(stderr, "portmap: %s -%c: `portmap -h` lists the options\n",
	    problem, option);
	exit(2);
}

static void __attribute__((noreturn)) help(void)
{
	printf("usage: portmap [-dfklvVh] [-a NET/LEN] [-c WHO] [-g GROUP] "
	       "[-i ADDR] [-m FILE] [-p PORT] [-u USER]\n"
	       "  -a NET/LEN  answer only this network (repeatable)\n"
	       "  -c WHO      whose broadcast calls to forward: none, host or "
	       "link\n"
	       "  -d          the same as -f -v\n"
	       "  -f          stay in the foreground, log to stderr\n"
	       "  -g GROUP    become this group (default: the user's)\n"
	       "  -i ADDR     listen on this address and 127.0.0.1 only "
	       "(repeatable)\n"
	       "  -k          keep entries whose server seems dead\n"
	       "  -l          listen on 127.0.0.1 and the local socket only\n"
	       "  -m FILE     the journal, or none (default: " RUN_DIR
	       "/map/journal)\n"
	       "  -p PORT     listen on this port instead of 111\n"
	       "  -u USER     become this user (default: " RPCUSER ")\n"
	       "  -v          log each call\n"
	       "  -V          print the version\n"
	       "  -h          print this\n"
	       "portmap(8) has the rest.\n");
	exit(0);
}

static in_port_t
parse_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || port == 0 ||
	    port > PORT_MAX)
		usage("a port is a number from 1 to 65535, in option", 'p');
	return ((in_port_t)port);
}

static enum callit_who
parse_callit(const char *text)
{
	if (strcmp(text, "none") == 0)
		return (CALLIT_NOBODY);
	if (strcmp(text, "host") == 0)
		return (CALLIT_HOST);
	if (strcmp(text, "link") != 0)
		usage("it is none, host or link, in option", 'c');
	return (CALLIT_LINK);
}

static void
add_address(struct door_plan *plan, const char *text)
{
	if (plan->addrs_count == DOOR_ADDRS_MAX)
		log_fatal("more than %d addresses: leave out -i to listen on "
			  "all",
		    DOOR_ADDRS_MAX);
	if (inet_pton(AF_INET, text, &plan->addrs[plan->addrs_count]) != 1)
		log_fatal(
		    "-i %s: not an IPv4 address: write it as 192.0.2.1", text);
	if (plan->addrs[plan->addrs_count].s_addr == htonl(INADDR_ANY))
		log_fatal(
		    "-i %s: leave out -i to listen on all addresses", text);
	plan->addrs_count++;
}

static void
add_guests(struct nets *guests, const char *text)
{
	struct net net;
	const char *problem = nets_parse(text, &net);

	if (problem != NULL)
		log_fatal("-a %s: %s: write it as 192.0.2.0/24", text, problem);
	if (nets_add(guests, &net) == -1)
		log_fatal("out of memory");
}

static void
parse(int argc, char *argv[], struct options *o)
{
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, ":a:c:dfg:hi:klm:p:u:vV")) != -1) {
		switch (c) {
		case 'a':
			add_guests(&o->guests, optarg);
			break;
		case 'c':
			o->callit = parse_callit(optarg);
			break;
		case 'd':
			o->foreground = o->verbose = true;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 'g':
			o->group = optarg;
			break;
		case 'h':
			help();
		case 'i':
			add_address(&o->plan, optarg);
			break;
		case 'k':
			o->keep = true;
			break;
		case 'l':
			o->loopback = true;
			break;
		case 'm':
			o->journal = optarg;
			break;
		case 'p':
			o->plan.port = parse_port(optarg);
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			printf("portmap %s\n", VERSION);
			exit(0);
		case ':':
			usage("an argument is missing after", optopt);
		default:
			usage("there is no option", optopt);
		}
	}
	if (optind < argc) {
		fprintf(stderr,
		    "portmap: %s: only options can be given: `portmap -h` "
		    "lists them\n",
		    argv[optind]);
		exit(2);
	}
	if (o->loopback && o->plan.addrs_count > 0)
		usage("-l listens on no address but 127.0.0.1: leave it out, "
		      "or",
		    'i');
	o->plan.anywhere = !o->loopback && o->plan.addrs_count == 0;
}

/* What we open must not become somebody's standard output. */
static void
reserve_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static void
on_signal(int sig)
{
	switch (sig) {
	case SIGUSR1:
		log_set_verbose(!log_verbose());
		log_verbosity();
		break;
	case SIGUSR2:
		log_stats(table_count(table), crowd_count(), forward_count());
		break;
	case SIGHUP:
		registry_sweep();
		break;
	default:
		stopped_by = sig;
		loop_stop();
	}
}

static int64_t
tick(int64_t now)
{
	int64_t next = INT64_MAX,
		due[] = {log_tick(now), stream_tick(now), listener_tick(now),
		    forward_tick(now), journal_tick(now),
		    daemon_tick(now, table_count(table))};

	for (size_t i = 0; i < sizeof(due) / sizeof(*due); i++)
		if (due[i] < next)
			next = due[i];
	return (next);
}

/* The run directory of an instance: the usual port has the usual name. */
static const char *
run_dir(in_port_t port)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), port == PMAP_PORT ? "%s" : "%s.%u", RUN_DIR,
	    (unsigned)port);
	return (dir);
}

static void
prepare_journal(const struct options *o, const struct identity *id)
{
	char usual[128];

	if (o->journal != NULL) {
		journal_prepare(
		    strcmp(o->journal, "none") == 0 ? NULL : o->journal, false,
		    id->uid, id->gid);
		return;
	}
	snprintf(usual, sizeof(usual), "%s/map/journal", run_dir(o->plan.port));
	journal_prepare(usual, true, id->uid, id->gid);
}

/* Hand the sockets to their transports; one of them stands for all. */
static SVCXPRT *
serve(const struct doors *doors, const struct nets *guests)
{
	SVCXPRT *xprt = NULL;

	for (size_t i = 0; i < doors->count; i++) {
		const struct door_socket *s = &doors->sockets[i];

		if (s->kind == DOOR_STREAM || s->kind == DOOR_UNIX)
			listener_serve(s->fd, s->kind, guests);
		else if (s->kind == DOOR_DATAGRAM &&
			 (xprt = datagram_serve(s->fd, guests)) == NULL)
			log_fatal("out of memory");
	}
	return (xprt);
}

/* Serve the connections that our predecessor had: calls may be waiting. */
static void
resume(const struct doors *doors)
{
	for (size_t i = 0; i < doors->count; i++) {
		struct peer peer = {0};

		if (doors->sockets[i].kind != DOOR_KEPT)
			continue;
		door_meet(doors->sockets[i].fd, DOOR_UNIX, &peer);
		stream_adopt(doors->sockets[i].fd, &peer);
	}
}

int
main(int argc, char *argv[])
{
	struct options o = {.callit = CALLIT_LINK, .plan = {.port = PMAP_PORT}};
	struct service_options service;
	struct doors doors = {.count = 0};
	struct identity id;
	SVCXPRT *xprt;
	uint64_t seed;
	int descriptors, inherited;

	reserve_stdio();
	umask(022);
	parse(argc, argv, &o);
	inherited = daemon_inherited();
	log_open(o.foreground);
	log_set_verbose(o.verbose);
	id = priv_identity(
	    o.user == NULL ? RPCUSER : o.user, o.group, o.user == NULL);
	descriptors = priv_limits();
	crowd_limits(descriptors);
	forward_limits(descriptors);
	if (!o.foreground)
		daemon_start();

	daemon_open(run_dir(o.plan.port));
	doors_open(&o.plan, inherited, &doors);
	door_prepare();
	if (owner_open() == -1)
		log_warning("cannot ask who is bound to a port: %s: entries of "
			    "dead servers stay",
		    strerror(errno));
	if (links_open() == -1)
		log_warning(
		    "cannot read the interfaces: %s: -a knows only what "
		    "it names",
		    strerror(errno));
	prepare_journal(&o, &id);
	priv_drop(&id);

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		log_fatal("cannot get random bytes: %s", strerror(errno));
	if ((table = table_new(seed)) == NULL ||
	    registry_open(table, o.plan.port, o.keep) == -1)
		log_fatal("out of memory");
	xprt = serve(&doors, o.guests.count > 0 ? &o.guests : NULL);
	service = (struct service_options){o.plan.port, o.callit};
	if (service_start(xprt, table, &service) == -1)
		log_fatal("out of memory");
	if (loop_signals(on_signal) == -1)
		log_fatal("cannot receive signals: %s", strerror(errno));
	resume(&doors);
	daemon_ready(table_count(table));
	log_ready(o.plan.port, id.name, table_count(table));
	loop_run(tick);

	log_stopped(stopped_by, table_count(table));
	daemon_close(table_count(table));
	listener_close_all();
	stream_close_all();
	forward_close_all();
	datagram_close_all();
	service_stop();
	journal_close();
	owner_close();
	links_close();
	table_free(table);
	free(o.guests.net);
	return (0);
}
