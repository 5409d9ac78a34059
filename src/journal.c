/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal.  write(2) without fsync(2): it is to survive the daemon, not
 * the machine, whose reboot makes every port in it void.
 *
 * A change is one appended line.  When the file has grown well past what is
 * alive it is written anew beside the old one and renamed over it; the same
 * mends it after a write has failed, so a line is never appended to a torn
 * one.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#include "log.h"
#include "loop.h"
#include "replay.h"

enum {
	LINE_SIZE = 80, /* of ours: five numbers of ten digits */
	GROWN = 1024,   /* lines beyond twice what is alive: write it anew */
	RETRY_MS = 1000,
};

static struct {
	char path[PATH_MAX];
	char dir[PATH_MAX]; /* of path, and what is called what in it */
	char name[NAME_MAX + 1];
	char temporary[PATH_MAX + 8];
	char boot[64];
	const struct table *table;
	int old_fd;     /* what was there at start, to be loaded */
	int fd;         /* -1: there is none, or it is broken */
	struct stat st; /* of fd */
	size_t lines;
	bool kept;   /* a journal is wanted */
	bool seen;   /* what was at its place has been looked at */
	bool broken; /* and the operator has been told */
	int64_t retry;
} journal = {.old_fd = -1, .fd = -1, .retry = INT64_MAX};

/*
 * What is there already.
 */

/* The kernel's name for this boot; "-" when it does not say. */
static void
read_boot_id(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd != -1) {
		n = read(fd, journal.boot, sizeof(journal.boot) - 1);
		close(fd);
	}
	journal.boot[n > 0 ? n : 0] = '\0';
	journal.boot[strcspn(journal.boot, "\n")] = '\0';
	if (journal.boot[0] == '\0')
		snprintf(journal.boot, sizeof(journal.boot), "-");
}

/* Why this file may not be believed, or NULL. */
static const char *
distrust(const struct stat *st, uid_t owner)
{
	if (!S_ISREG(st->st_mode))
		return ("type");
	if (st->st_uid != owner)
		return ("owner");
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return ("mode");
	return (st->st_nlink == 1 ? NULL : "links");
}

/* Out of the way, under a name that nothing has yet. */
static void
move_aside(const char *why)
{
	char aside[PATH_MAX + 16];

	for (unsigned i = 1; i < 1000; i++) {
		snprintf(aside, sizeof(aside), "%s.bad%u", journal.path, i);
		/* musl has no function for it */
		if (syscall(SYS_renameat2, AT_FDCWD, journal.path, AT_FDCWD,
			aside, RENAME_NOREPLACE) == 0) {
			log_warning("journal %s is not to be believed (%s): "
				    "moved aside to %s, starting empty",
			    journal.path, why, aside);
			return;
		}
		if (errno != EEXIST)
			break;
	}
	log_warning("journal %s is not to be believed (%s) and cannot be moved "
		    "aside: %s: move it away; until then none is kept",
	    journal.path, why, strerror(errno));
	journal.kept = false;
}

/* Make the directory if need be and open it: its descriptor, or -1. */
static int
open_dir(bool own_dir, bool *made)
{
	*made = mkdir(journal.dir, 0700) == 0;
	return (open(journal.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				      (own_dir || *made ? O_NOFOLLOW : 0)));
}

/* Take over what is there, if it is to be believed. */
static void
take_over(int dir_fd, uid_t owner, uid_t uid, gid_t gid)
{
	const char *why;
	struct stat st;
	int fd = openat(dir_fd, journal.name,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1) {
		/* a symbolic link, a socket; or it cannot be read */
		if (errno != ENOENT)
			move_aside(errno == ELOOP || errno == ENXIO
				       ? "type"
				       : strerror(errno));
		return;
	}
	why = fstat(fd, &st) == -1 ? strerror(errno) : distrust(&st, owner);
	if (why == NULL && st.st_uid != uid && fchown(fd, uid, gid) == -1)
		why = "owner";
	if (why == NULL) {
		journal.old_fd = fd;
		return;
	}
	close(fd);
	move_aside(why);
}

/* It cannot be written: say so once, and try again. */
static void
broke(int error)
{
	if (journal.fd != -1)
		close(journal.fd);
	journal.fd = -1;
	journal.retry = loop_now() + RETRY_MS;
	if (journal.broken)
		return;
	journal.broken = true;
	log_warning("journal %s cannot be written: %s: the map is in memory "
		    "only, and will be written when that is mended",
	    journal.path, strerror(error));
}

/* Take the path apart. */
static void
set_path(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (*name == '\0' || strlen(name) > NAME_MAX - sizeof(".bad999"))
		log_fatal("-m %s: give a file in that directory", path);
	snprintf(journal.path, sizeof(journal.path), "%s", path);
	snprintf(journal.temporary, sizeof(journal.temporary), "%s.new", path);
	/* without its last slash, which would follow a symbolic link */
	snprintf(journal.dir, sizeof(journal.dir), "%.*s",
	    name - path == 1 ? 1 : (int)(name - path - 1), path);
	snprintf(journal.name, sizeof(journal.name), "%s", name);
}

void
journal_prepare(const char *path, bool own_dir, uid_t uid, gid_t gid)
{
	struct stat st;
	bool made;
	int dir_fd;

	if (path == NULL)
		return;
	if (strlen(path) >= sizeof(journal.path) || path[0] != '/')
		log_fatal("-m %s: give the whole path of a file, from / on, or "
			  "none",
		    path);
	set_path(path);
	read_boot_id();
	journal.kept = true;
	dir_fd = open_dir(own_dir, &made);
	if (dir_fd == -1)
		return; /* the first attempt to write will say so */
	/* in our own directory: whoever it belongs to until now */
	if (fstat(dir_fd, &st) == 0)
		take_over(dir_fd, own_dir ? st.st_uid : uid, uid, gid);
	/* given away only now: until here nobody could move anything into it */
	if (own_dir || made)
		journal.seen =
		    fchmod(dir_fd, 0700) == 0 && fchown(dir_fd, uid, gid) == 0;
	else
		journal.seen = true;
	close(dir_fd);
}

/*
 * Writing.
 */

/* How a registration is written down. */
static void
set_line(const struct mapping *m, char line[LINE_SIZE])
{
	char owner[16] = "-";

	if (m->owner != OWNER_NONE)
		snprintf(owner, sizeof(owner), "%" PRIu32, (uint32_t)m->owner);
	snprintf(line, LINE_SIZE, "set %u %u %u %u %s\n", m->prog, m->vers,
	    m->prot, m->port, owner);
}

static void
append(const char *line)
{
	size_t len = strlen(line);
	struct stat st;

	if (journal.fd == -1)
		return;
	/* a file that is no longer at its place would be lost in silence */
	if (stat(journal.path, &st) == -1) {
		broke(errno);
		return;
	}
	if (st.st_ino != journal.st.st_ino || st.st_dev != journal.st.st_dev) {
		broke(ENOENT);
		return;
	}
	errno = ENOSPC;
	if (write(journal.fd, line, len) != (ssize_t)len)
		broke(errno);
	journal.lines++;
}

static int
write_all(FILE *f)
{
	char line[LINE_SIZE];

	fprintf(f, REPLAY_HEADER "%s\n", journal.boot);
	journal.lines = 1;
	for (const struct mapping *m = table_first(journal.table); m != NULL;
	     m = table_next(m)) {
		if (m->prog == PMAP_PROG)
			continue;
		set_line(m, line);
		fputs(line, f);
		journal.lines++;
	}
	return (fflush(f) == EOF || ferror(f) ? -1 : 0);
}

/* Return a stream that writes to a copy of `fd`, or NULL with errno. */
static FILE *
open_copy(int fd)
{
	int copy = dup(fd), error;
	FILE *f;

	if (copy == -1)
		return (NULL);
	if ((f = fdopen(copy, "a")) == NULL) {
		error = errno;
		close(copy);
		errno = error;
	}
	return (f);
}

/* The whole table into a new file, which takes the place of the old one. */
static int
rewrite(void)
{
	FILE *f;
	int fd, error;

	if (!journal.seen) {
		/* it could not be looked at before, so it was not loaded */
		if (access(journal.path, F_OK) == 0)
			move_aside("unread");
		journal.seen = true;
	}
	if (unlink(journal.temporary) == -1 && errno != ENOENT)
		return (-1);
	fd = open(journal.temporary,
	    O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return (-1);
	if ((f = open_copy(fd)) == NULL || write_all(f) == -1 ||
	    fstat(fd, &journal.st) == -1 ||
	    rename(journal.temporary, journal.path) == -1) {
		error = errno;
		if (f != NULL)
			fclose(f);
		close(fd);
		unlink(journal.temporary);
		errno = error;
		return (-1);
	}
	fclose(f);
	if (journal.fd != -1)
		close(journal.fd);
	journal.fd = fd;
	return (0);
}

static void
rewrite_or_retry(void)
{
	if (rewrite() == -1) {
		broke(errno);
		return;
	}
	journal.retry = INT64_MAX;
	if (journal.broken)
		log_warning("journal %s is written again", journal.path);
	journal.broken = false;
}

void
journal_load(struct table *t)
{
	const char *why = NULL;
	FILE *f;

	journal.table = t;
	if (journal.old_fd != -1) {
		if ((f = fdopen(journal.old_fd, "r")) == NULL)
			log_fatal("out of memory");
		why = replay(f, journal.boot, t);
		fclose(f);
		journal.old_fd = -1;
	}
	if (why != NULL && strcmp(why, "boot") == 0)
		log_warning("journal %s is of another boot: starting empty",
		    journal.path);
	else if (why != NULL)
		move_aside(why);
	if (journal.kept)
		rewrite_or_retry();
}

static void
rewrite_if_grown(void)
{
	if (journal.fd != -1 &&
	    journal.lines > 2 * table_count(journal.table) + GROWN)
		rewrite_or_retry();
}

void
journal_set(const struct mapping *m)
{
	char line[LINE_SIZE];

	set_line(m, line);
	append(line);
	rewrite_if_grown();
}

void
journal_unset(uint32_t prog, uint32_t vers, uint32_t prot)
{
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "unset %u %u %u\n", prog, vers, prot);
	append(line);
	rewrite_if_grown();
}

int64_t
journal_tick(int64_t now)
{
	if (now >= journal.retry)
		rewrite_or_retry();
	return (journal.retry);
}

void
journal_close(void)
{
	if (journal.fd != -1)
		close(journal.fd);
	journal.fd = -1;
	journal.retry = INT64_MAX;
}
