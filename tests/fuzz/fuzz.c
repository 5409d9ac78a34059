/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/select.h>
#include <unistd.h>

#include "crowd.h"
#include "datagram.h"
#include "forward.h"
#include "log.h"
#include "registry.h"
#include "service.h"
#include "stream.h"

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
	crowd_limits(1024);
	forward_limits(1024);
	CHECK((table = table_new(4711)) != NULL);
	CHECK((fd = socket(AF_INET, SOCK_DGRAM, 0)) != -1);
	CHECK(registry_open(table, PMAP_PORT, false) == 0);
	CHECK(service_start(datagram_serve(fd, NULL), table, &options) == 0);
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
	CHECK(table_count(table) == TABLE_OWN);
	CHECK(table_count_others(table) == 0);
}

int
fuzz_connect(uid_t uid, int *fd)
{
	const struct peer peer = {.door = DOOR_LOCAL, .uid = uid};
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	stream_adopt(fds[1], &peer);
	*fd = fds[1];
	return (fds[0]);
}

int
fuzz_is_served(int fd)
{
	return (FD_ISSET(fd, &svc_fdset));
}

void
fuzz_turn(int fd)
{
	for (int i = 0; i < 4 && fuzz_is_served(fd); i++)
		svc_getreq_common(fd);
}
