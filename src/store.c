/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No fsync(2), because the file must survive the process and not the machine:
 * after a reboot no port in it is in use.  All of its space is taken at once,
 * so that a disk which is full later does not matter.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define FILE_NAME "mappings"

struct store {
	char head[STORE_HEAD];
	struct slot slots[TABLE_SLOTS];
};

static struct store *store;
static volatile sig_atomic_t truncated;

/* What the file begins with in this boot, whose id is in random(4). */
static void
make_head(char head[STORE_HEAD])
{
	char boot[40] = "-";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	memset(head, 0, STORE_HEAD);
	if (f != NULL) {
		(void)!fscanf(f, "%39s", boot);
		fclose(f);
	}
	snprintf(head, STORE_HEAD, STORE_FORMAT "boot=%s\n", boot);
}

/* Return why this file is not trusted, or NULL. */
static const char *
distrust(int fd, uid_t uid, const char head[STORE_HEAD])
{
	char found[STORE_HEAD];
	struct stat st;

	if (fstat(fd, &st) == -1)
		return (strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ("not a regular file");
	if (st.st_uid != geteuid() && st.st_uid != uid)
		return ("owned by another user");
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return ("other users can open it");
	if (st.st_nlink != 1)
		return ("more than one hard link");
	if (st.st_size != (off_t)sizeof(struct store))
		return ("of the wrong size");
	if (pread(fd, found, sizeof(found), 0) != sizeof(found))
		return ("unreadable");
	return (memcmp(found, head, sizeof(found)) == 0
		    ? NULL
		    : "written before the last boot");
}

/* Open the file of an earlier process, or remove it.  Return -1 if none. */
static int
open_old(int dir_fd, uid_t uid, const char head[STORE_HEAD])
{
	int fd = openat(dir_fd, FILE_NAME,
	    O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *fault;

	if (fd == -1 && errno == ENOENT)
		return (-1);
	fault = fd == -1 ? strerror(errno) : distrust(fd, uid, head);
	if (fault == NULL)
		return (fd);
	log_warning(
	    "mappings of an earlier process: %s: starting without them", fault);
	if (fd != -1)
		close(fd);
	unlinkat(dir_fd, FILE_NAME, 0);
	return (-1);
}

/* Create an empty file, valid once it has its head.  Return it, or -1. */
static int
create(int dir_fd, const char head[STORE_HEAD])
{
	int error,
	    fd = openat(dir_fd, FILE_NAME,
		O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1)
		return (-1);
	error = posix_fallocate(fd, 0, sizeof(struct store));
	if (error == 0 && pwrite(fd, head, STORE_HEAD, 0) == STORE_HEAD)
		return (fd);
	if (error == 0)
		error = errno;
	close(fd);
	unlinkat(dir_fd, FILE_NAME, 0);
	errno = error;
	return (-1);
}

/* Replace pages that root has taken from the file. */
static void
on_bus_error(int sig, siginfo_t *info, void *context)
{
	const char *at = info->si_addr, *begin = (const char *)store;

	(void)context;
	if (at < begin || at >= begin + sizeof(*store) ||
	    mmap(store, sizeof(*store), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		signal(sig, SIG_DFL); /* and fail again */
	truncated = 1;
}

static struct store *
map(int fd)
{
	const struct sigaction action = {
	    .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
	void *at = mmap(
	    NULL, sizeof(*store), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED || sigaction(SIGBUS, &action, NULL) == -1)
		return (NULL);
	return (at);
}

struct slot *
store_open(int dir_fd, uid_t uid)
{
	char head[STORE_HEAD];
	int fd = -1;

	make_head(head);
	if (dir_fd != -1 && (fd = open_old(dir_fd, uid, head)) == -1)
		fd = create(dir_fd, head);
	if (fd != -1) {
		store = map(fd);
		close(fd);
	}
	if (store != NULL)
		return (store->slots);
	if (dir_fd != -1) /* else daemon_open() has warned */
		log_warning("cannot create the file of the mappings: %s: a "
			    "restart loses them",
		    strerror(errno));
	if ((store = calloc(1, sizeof(*store))) == NULL)
		log_fatal("out of memory");
	return (store->slots);
}

int64_t
store_tick(int64_t now)
{
	(void)now;
	if (truncated) {
		truncated = 0;
		log_warning(
		    "the file of the mappings was truncated: a restart "
		    "loses them: restart portmap, and then the servers");
	}
	return (INT64_MAX);
}
