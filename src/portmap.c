/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of the start.  Steps that need privileges come before priv_drop();
 * steps that handle input from others come after it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accept.h"
#include "addrfilt.h"
#include "callit.h"
#include "closer.h"
#include "daemon.h"
#include "datagram.h"
#include "debt.h"
#include "ifaddr.h"
#include "listen.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "peer.h"
#include "priv.h"
#include "registry.h"
#include "sandbox.h"
#include "service.h"
#include "share.h"
#include "sockdiag.h"
#include "store.h"
#include "stream.h"
#include "table.h"

static struct slot *slots;
static int stopped_by;

/* No descriptor that we open may become standard input, output or error. */
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
		log_counters(table_count(registry_table()),
		    share_count(POOL_CONNECTIONS), share_count(POOL_CALLITS));
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
	static int64_t (*const ticks[])(int64_t now) = {log_tick, stream_tick,
	    accept_tick, closer_tick, callit_tick, registry_tick, store_tick,
	    daemon_tick};
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < sizeof(ticks) / sizeof(*ticks); i++) {
		int64_t due = ticks[i](now);

		if (due < next)
			next = due;
	}
	return (next);
}

/* Return the run directory, which depends on the port. */
static const char *
run_dir(in_port_t port)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), port == PMAP_PORT ? "%s" : "%s.%u", RUN_DIR,
	    (unsigned)port);
	return (dir);
}

/* Serve the sockets.  Return one of the transports, which stands for all. */
static SVCXPRT *
serve(const struct listen_sockets *set, const struct addrfilt *acl)
{
	SVCXPRT *xprt = NULL;

	for (size_t i = 0; i < set->count; i++) {
		const struct listen_socket *s = &set->sockets[i];

		if (s->kind == LISTEN_TCP || s->kind == LISTEN_UNIX)
			accept_start(s, acl);
		else if (s->kind != LISTEN_KEPT &&
			 (xprt = datagram_serve(s->fd, acl)) == NULL)
			log_fatal("out of memory");
	}
	return (xprt);
}

/* Serve the connections that were kept across a restart. */
static void
serve_kept(const struct listen_sockets *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct listen_socket *s = &set->sockets[i];
		struct peer peer = {0};

		if (s->kind != LISTEN_KEPT)
			continue;
		peer_identify_local(s->fd, &peer);
		/* calls may be waiting */
		stream_open(s->fd, &peer, false);
	}
}

static uint64_t
random_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		log_fatal("cannot get random bytes: %s", strerror(errno));
	return (seed);
}

/* Open everything that needs privileges, and then drop the privileges. */
static void
open_all(const struct options *o, const struct identity *id,
    struct listen_sockets *set)
{
	int dir_fd = daemon_open(run_dir(o->listen.port), id->uid);

	slots = store_open(dir_fd, id->uid);
	if (dir_fd != -1) {
		log_open_counters(dir_fd);
		close(dir_fd);
	}
	listen_open(&o->listen, set);
	peer_open(o->listen.port);
	debt_open("/proc/net/softnet_stat", random_seed());
	if (sockdiag_open() == -1)
		log_warning("cannot use sock_diag: %s; stale entries are kept",
		    strerror(errno));
	if (ifaddr_open() == -1)
		log_warning("cannot read the addresses of this host: %s: "
			    "serving broadcasts and CALLITs for lo only",
		    strerror(errno));
	priv_drop(id);
}

/* Take over the mappings of an earlier process, and serve the sockets. */
static void
serve_all(const struct options *o, const struct listen_sockets *set)
{
	const struct service_options service = {o->listen.port, o->callit};
	const struct addrfilt *acl = o->acl.count > 0 ? &o->acl : NULL;
	struct table *table;

	if ((table = table_new(random_seed(), slots)) == NULL ||
	    registry_open(table, o->listen.port, o->keep) == -1 ||
	    service_start(serve(set, acl), &service) == -1)
		log_fatal("out of memory");
	if (loop_signals(on_signal) == -1)
		log_fatal("cannot receive signals: %s", strerror(errno));
	serve_kept(set);
}

int
main(int argc, char *argv[])
{
	static struct options o;
	struct listen_sockets set = {.count = 0};
	struct identity id;
	int inherited;

	reserve_stdio();
	umask(022);
	signal(SIGCHLD, SIG_DFL); /* if ignored, the parent gets no status */
	signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit fails instead */
	options_parse(argc, argv, &o);
	inherited = listen_inherited();
	if (!o.foreground)
		/* inherited by mistake */
		daemon_close_range(inherited, INT_MAX);
	log_open(o.foreground);
	log_set_verbose(o.verbose);
	id = priv_identity(
	    o.user == NULL ? RPCUSER : o.user, o.group, o.user == NULL);
	if (o.check)
		return (0);
	if (o.no_sandbox)
		sandbox_disable();
	share_limits(priv_limits());
	if (!o.foreground)
		daemon_start();
	open_all(&o, &id, &set);
	serve_all(&o, &set);
	daemon_ready();
	sandbox_enter();
	log_ready(o.listen.port, id.name, table_count(registry_table()),
	    sandbox_parts());
	loop_run(tick);

	/* connections are left to exit(3): closer.h */
	log_stopped(stopped_by, table_count(registry_table()));
	daemon_stopping();
	return (0);
}
