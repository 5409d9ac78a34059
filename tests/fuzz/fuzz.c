/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/select.h>
#include <unistd.h>

#include "datagram.h"
#include "log.h"
#include "loop.h"
#include "registry.h"
#include "service.h"
#include "share.h"
#include "stream.h"

static struct slot slots[TABLE_SLOTS];
static struct table *table;

void
fuzz_start(void)
{
	const struct service_options options = {PMAP_PORT, CALLIT_LINK};
	int null, fd;

	if (table != NULL)
		return;
	if ((null = open("/dev/null", O_WRONLY)) != -1) {
		log_open(true);
		log_set_verbose(true);
		log_detach();
		close(null);
	}
	share_limits(1024);
	CHECK((table = table_new(4711, slots)) != NULL);
	CHECK((fd = socket(AF_INET, SOCK_DGRAM, 0)) != -1);
	CHECK(registry_open(table, PMAP_PORT, false) == 0);
	CHECK(service_start(datagram_serve(fd, NULL), &options) == 0);
}

struct table *
fuzz_table(void)
{
	return (table);
}

void
fuzz_reset_table(void)
{
	const struct mapping *m, *next;

	for (m = table_first(table); m != NULL; m = next) {
		next = table_next(m);
		if (m->prog != PMAP_PROG)
			table_remove(table, m->prog, m->vers, m->prot);
	}
	CHECK(table_count(table) == TABLE_SELF);
}

int
fuzz_connect(uid_t uid, int *fd)
{
	const struct peer peer = {.origin = ORIGIN_LOCAL, .uid = uid};
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	stream_open(fds[1], &peer, false);
	*fd = fds[1];
	return (fds[0]);
}

int
fuzz_is_served(int fd)
{
	return (FD_ISSET(fd, &svc_fdset));
}

static int iterations;

static int64_t
count_iterations(int64_t now)
{
	if (iterations-- == 0)
		loop_stop();
	return (now);
}

void
fuzz_iterate(int fd)
{
	iterations = 4;
	if (fd != -1)
		loop_defer(fd);
	loop_run(count_iterations);
}
