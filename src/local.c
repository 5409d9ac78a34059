/* SPDX-License-Identifier: BSD-2-Clause */
#include "local.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "pmap.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16, asm-generic/socket.h */
#endif

static const struct sockaddr_un path = {
    .sun_family = AF_UNIX, .sun_path = PMAP_LOCAL_PATH};
static const struct sockaddr_un name = {
    .sun_family = AF_UNIX, .sun_path = "\0" PMAP_LOCAL_PATH};
/* of both: one has a NUL at its end, the other at its beginning */
static const socklen_t addr_len =
    offsetof(struct sockaddr_un, sun_path) + sizeof(PMAP_LOCAL_PATH);

static bool missing; /* the abstract name */

bool
local_refuse_fds(int fd)
{
	const int no = 0;

	return (
	    setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0);
}

/* Connect to a local socket.  Return the connection, or -1 with errno. */
static int
connect_to(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd == -1)
		return (-1);
	if (connect(fd, (const struct sockaddr *)addr, addr_len) == 0)
		return (fd);
	error = errno;
	close(fd);
	errno = error;
	return (-1);
}

/*
 * Remove the socket file of an earlier daemon, which is stale if connect()
 * returns ECONNREFUSED.  Exit if a port mapper serves it.  Return 0 if there is
 * no file now, else -1 with errno.
 */
static int
remove_stale(void)
{
	struct stat st;

	if (lstat(PMAP_LOCAL_PATH, &st) == -1)
		return (errno == ENOENT ? 0 : -1);
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return (-1);
	}
	if (connect_to(&path) != -1 || errno == EAGAIN)
		log_fatal("another port mapper serves " PMAP_LOCAL_PATH
			  ": stop it first");
	return (errno == ECONNREFUSED ? unlink(PMAP_LOCAL_PATH) : -1);
}

/* Listen on a local socket.  Return 0, or -1 with errno. */
static int
open_unix(struct listen_socket *s, const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool may_pass;
	mode_t mask;
	int error;

	if (fd == -1)
		return (-1);
	may_pass = !local_refuse_fds(fd);
	mask = umask(0111); /* mode 0666: all users may connect */
	error = bind(fd, (const struct sockaddr *)addr, addr_len) == -1 ||
			listen(fd, LISTEN_BACKLOG) == -1
		    ? errno
		    : 0;
	umask(mask);
	if (error != 0) {
		close(fd);
		errno = error;
		return (-1);
	}
	*s = (struct listen_socket){fd, LISTEN_UNIX, may_pass};
	return (0);
}

/* Return true if a socket of this name was inherited. */
static bool
is_inherited(const struct listen_sockets *set, const struct sockaddr_un *addr)
{
	struct sockaddr_un own;
	socklen_t len;

	for (size_t i = 0; i < set->count; i++) {
		len = sizeof(own);
		if (set->sockets[i].kind == LISTEN_UNIX &&
		    getsockname(set->sockets[i].fd, (struct sockaddr *)&own,
			&len) == 0 &&
		    len == addr_len && memcmp(&own, addr, len) == 0)
			return (true);
	}
	return (false);
}

/* Log why the abstract name cannot be used, and which process has it. */
static void
warn_missing(int error)
{
	char holder[64] = "a process that does not listen";
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd;

	if (error != EADDRINUSE) {
		log_warning("cannot listen on @" PMAP_LOCAL_PATH
			    ": %s: trying again each second",
		    strerror(error));
		return;
	}
	if ((fd = connect_to(&name)) != -1) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
			snprintf(holder, sizeof(holder), "uid=%lu pid=%ld",
			    (unsigned long)cred.uid, (long)cred.pid);
		close(fd);
	} else if (errno == EAGAIN) {
		snprintf(
		    holder, sizeof(holder), "a process with a full backlog");
	}
	log_warning("cannot listen on @" PMAP_LOCAL_PATH
		    ": %s has this abstract name, and servers may register "
		    "there: stop it (`ss -xlp` shows it)",
	    holder);
}

void
local_open(struct listen_sockets *set)
{
	struct listen_socket s;

	if (!is_inherited(set, &path)) {
		if (remove_stale() == -1 || open_unix(&s, &path) == -1) {
			log_warning("cannot listen on " PMAP_LOCAL_PATH
				    ": %s: servers of this host cannot "
				    "register there, and `rpcinfo -p` needs a "
				    "host; start as root",
			    strerror(errno));
			return;
		}
		listen_add(set, &s);
	}
	if (is_inherited(set, &name))
		return;
	if (open_unix(&s, &name) == 0) {
		listen_add(set, &s);
	} else {
		missing = true;
		warn_missing(errno);
	}
}

bool
local_is_missing(void)
{
	return (missing);
}

bool
local_retry(struct listen_socket *s)
{
	missing = open_unix(s, &name) == -1;
	return (!missing);
}
