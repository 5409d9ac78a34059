/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "decimal.h"
#include "log.h"
#include "pmap.h"

static void __attribute__((noreturn, format(printf, 1, 2)))
usage(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_wrong_option("%s; `portmap -h` lists the options", text);
}

static void __attribute__((noreturn)) help(void)
{
	printf("usage: portmap [-dfhklnSvV] [-a NET/LEN]... [-c SCOPE]\n"
	       "               [-g GROUP] [-i ADDR]... [-p PORT] [-u USER]\n"
	       "  -a NET/LEN  allow only this network (repeatable)\n"
	       "  -c SCOPE    forward CALLITs of: none, host (default), "
	       "link\n"
	       "  -d          the same as -f -v\n"
	       "  -f          stay in the foreground, log to stderr\n"
	       "  -g GROUP    run as this group (default: the user's)\n"
	       "  -i ADDR     listen on this address and loopback only "
	       "(repeatable)\n"
	       "  -k          keep stale entries\n"
	       "  -l          listen on loopback and the local socket only\n"
	       "  -n          check the options, and do not start\n"
	       "  -p PORT     listen on this port instead of 111\n"
	       "  -S          no sandbox, for debugging\n"
	       "  -u USER     run as this user (default: %s)\n"
	       "  -v          log each call\n"
	       "  -V          print the version\n"
	       "  -h          print this help\n"
	       "The manual is portmap(8).\n",
	    RPCUSER);
	exit(0);
}

static in_port_t
parse_port(const char *text)
{
	uint32_t port;

	if (!decimal_parse_all(text, PORT_MAX, &port) || port == 0)
		usage("-p %s: not a port from 1 to 65535", text);
	return ((in_port_t)port);
}

static enum callit_scope
parse_callit(const char *text)
{
	if (strcmp(text, "none") == 0)
		return (CALLIT_NONE);
	if (strcmp(text, "host") == 0)
		return (CALLIT_HOST);
	if (strcmp(text, "link") != 0)
		usage("-c %s: not none, host or link", text);
	return (CALLIT_LINK);
}

static void
add_address(struct listen_config *config, const char *text)
{
	if (config->addrs_count == LISTEN_ADDRS_MAX)
		usage("-i: more than %d addresses: omit -i to listen on all",
		    LISTEN_ADDRS_MAX);
	if (inet_pton(AF_INET, text, &config->addrs[config->addrs_count]) != 1)
		usage("-i %s: not an IPv4 address", text);
	if (config->addrs[config->addrs_count].s_addr == htonl(INADDR_ANY))
		usage("-i %s: omit -i to listen on all addresses", text);
	config->addrs_count++;
}

static void
add_allowed(struct addrfilt *acl, const char *text)
{
	struct addrfilt_net net = {.mask.s_addr = 0};
	const char *problem = addrfilt_parse(text, &net);

	if (problem != NULL && net.mask.s_addr != 0)
		usage("-a %s: %s: write it as %s/%d", text, problem,
		    inet_ntoa(net.addr), __builtin_popcount(net.mask.s_addr));
	if (problem != NULL)
		usage("-a %s: %s; for example 192.0.2.0/24", text, problem);
	if (addrfilt_add(acl, &net) == -1)
		log_fatal("out of memory");
}

static void
check_options(struct options *o)
{
	if (!o->listen.anywhere && o->listen.addrs_count > 0)
		usage("-l and -i exclude each other");
	if (o->listen.addrs_count > 0)
		o->listen.anywhere = false;
}

void
options_parse(int argc, char *argv[], struct options *o)
{
	static const struct option long_options[] = {
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'}, {0}};
	int c;

	*o = (struct options){.callit = CALLIT_HOST,
	    .listen = {.port = PMAP_PORT, .anywhere = true}};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":a:c:dfg:hi:klnp:Su:vV",
		    long_options, NULL)) != -1) {
		switch (c) {
		case 'a':
			add_allowed(&o->acl, optarg);
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
			add_address(&o->listen, optarg);
			break;
		case 'k':
			o->keep = true;
			break;
		case 'l':
			o->listen.anywhere = false;
			break;
		case 'n':
			o->check = o->foreground = true;
			log_for_check();
			break;
		case 'p':
			o->listen.port = parse_port(optarg);
			break;
		case 'S':
			o->no_sandbox = true;
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
			usage("option requires an argument -- %c", optopt);
		default:
			if (optopt == 0)
				usage("unknown option %s", argv[optind - 1]);
			usage("unknown option -- %c", optopt);
		}
	}
	if (optind < argc)
		usage("unexpected argument: %s", argv[optind]);
	check_options(o);
}
