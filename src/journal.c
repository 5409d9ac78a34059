/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * write(2) without fsync(2), because the journal must survive the daemon and
 * not the machine: after a reboot no port in it is in use.
 *
 * A change is one appended line.  When the file has become much longer than the
 * table, the table is written to a new file, which replaces the old one.  This
 * also repairs the journal after a failed write, so that no line is appended to
 * an incomplete one.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "journal_read.h"

enum {
	LINE_SIZE = 80, /* five numbers of ten digits */
	GROWN = 1024,   /* lines beyond twice the entries: write a new file */
	RETRY_MS = 1000,
};

static struct journal {
	char path[PATH_MAX];
	char dir[PATH_MAX];
	char name[NAME_MAX + 1]; /* of the journal in its directory */
	char bad_name[NAME_MAX + 8];
	char temporary[PATH_MAX + 8]; /* what replaces it */
	char bad[PATH_MAX + 8];       /* where an untrusted one goes */
	char boot[64];
	const struct table *table;
	int old_fd; /* the journal found at start, or -1 */
	FILE *file; /* the journal written, or NULL */
	size_t lines;
	bool enabled;
	bool checked; /* a file found at start was checked */
	bool broken;  /* it cannot be written, and that was logged */
	int64_t retry;
} journal;

/*
 * Start.
 */

/* Read the kernel's id of this boot: random(4).  "-" if it is not known. */
static void
read_boot_id(void)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	snprintf(journal.boot, sizeof(journal.boot), "-");
	if (f == NULL)
		return;
	(void)!fscanf(f, "%63s", journal.boot);
	fclose(f);
}

/* Return why this file is not trusted, or JOURNAL_GOOD. */
static enum journal_fault
check(int fd, uid_t owner)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return (JOURNAL_UNREAD);
	if (!S_ISREG(st.st_mode))
		return (JOURNAL_TYPE);
	if (st.st_uid != owner)
		return (JOURNAL_OWNER);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return (JOURNAL_MODE);
	return (st.st_nlink == 1 ? JOURNAL_GOOD : JOURNAL_LINKS);
}

/*
 * Rename an untrusted file, so that the operator can inspect it: in the
 * directory `dir_fd`, as root, or by its path (AT_FDCWD) as the daemon's user.
 */
static void
move_aside(int dir_fd, enum journal_fault fault)
{
	const char *reason = journal_fault_name(fault);
	bool by_path = dir_fd == AT_FDCWD;

	if (renameat(dir_fd, by_path ? journal.path : journal.name, dir_fd,
		by_path ? journal.bad : journal.bad_name) == 0) {
		/* of a journal that was read in part, these mappings stay */
		log_warning("journal %s: untrusted (%s); renamed to %s%s",
		    journal.path, reason, journal.bad,
		    fault == JOURNAL_UNREAD && journal.table != NULL
			? ""
			: ", starting without it");
		return;
	}
	log_warning("journal %s: untrusted (%s); cannot rename it to %s: %s; "
		    "keeping no journal",
	    journal.path, reason, journal.bad, strerror(errno));
	journal.enabled = false;
}

/* Open the directory, and create it if there is none.  Return it, or -1. */
static int
open_dir(bool own_dir, bool *made)
{
	*made = mkdir(journal.dir, 0700) == 0;
	return (open(journal.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				      (own_dir || *made ? O_NOFOLLOW : 0)));
}

/* Open the journal of an earlier daemon, if there is one that is trusted. */
static void
open_old(int dir_fd, uid_t owner, uid_t uid, gid_t gid)
{
	enum journal_fault fault;
	int fd = openat(dir_fd, journal.name,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1) {
		/* nothing is wrong with the file, and later it can be read */
		if (errno == ENFILE || errno == ENOMEM)
			log_fatal("journal %s: cannot open it: %s: start "
				  "portmap again",
			    journal.path, strerror(errno));
		/* ELOOP for a symbolic link, ENXIO for a socket */
		if (errno != ENOENT)
			move_aside(dir_fd, errno == ELOOP || errno == ENXIO
					       ? JOURNAL_TYPE
					       : JOURNAL_UNREAD);
		return;
	}
	fault = check(fd, owner);
	if (fault == JOURNAL_GOOD && owner != uid && fchown(fd, uid, gid) == -1)
		fault = JOURNAL_OWNER;
	if (fault == JOURNAL_GOOD) {
		journal.old_fd = fd;
		return;
	}
	close(fd);
	move_aside(dir_fd, fault);
}

static void
set_path(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (*name == '\0' || strlen(name) > NAME_MAX - sizeof(".new"))
		log_fatal(
		    "-m %s: the name of the file is missing or too long", path);
	snprintf(journal.path, sizeof(journal.path), "%s", path);
	snprintf(journal.temporary, sizeof(journal.temporary), "%s.new", path);
	snprintf(journal.bad, sizeof(journal.bad), "%s.bad", path);
	/* without its last slash, which would follow a symbolic link */
	snprintf(journal.dir, sizeof(journal.dir), "%.*s",
	    name - path == 1 ? 1 : (int)(name - path - 1), path);
	snprintf(journal.name, sizeof(journal.name), "%s", name);
	snprintf(journal.bad_name, sizeof(journal.bad_name), "%s.bad", name);
}

/* Return true if only root and `uid` can write a directory. */
static bool
is_private(const struct stat *st, uid_t uid)
{
	return ((st->st_uid == UID_ROOT || st->st_uid == uid ||
		    st->st_uid == geteuid()) &&
		(st->st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

void
journal_prepare(const char *path, bool own_dir, uid_t uid, gid_t gid)
{
	struct stat st;
	bool made;
	int dir_fd;

	journal = (struct journal){.old_fd = -1, .retry = INT64_MAX};
	if (path == NULL)
		return;
	if (strlen(path) >= sizeof(journal.path) || path[0] != '/')
		log_fatal("-m %s: must be an absolute path, or none", path);
	set_path(path);
	read_boot_id();
	journal.enabled = true;
	dir_fd = open_dir(own_dir, &made);
	if (dir_fd == -1)
		return; /* the first attempt to write will report it */
	if (fstat(dir_fd, &st) == -1)
		log_fatal("-m %s: %s", path, strerror(errno));
	if (!own_dir && !is_private(&st, uid))
		log_fatal("-m %s: other users can write its directory", path);
	/* our own directory may belong to the user of an earlier daemon */
	open_old(dir_fd, own_dir ? st.st_uid : uid, uid, gid);
	journal.checked = true;
	/*
	 * Not earlier, or that user could swap files during the checks.  The
	 * first attempt to write reports a failure.
	 */
	if ((own_dir || made) && fchmod(dir_fd, 0700) == 0)
		(void)!fchown(dir_fd, uid, gid);
	close(dir_fd);
}

const char *
journal_dir(void)
{
	return (journal.enabled ? journal.dir : NULL);
}

/*
 * Writing.
 */

/* Close a journal that cannot be written, log that once, and retry later. */
static void
stop_writing(int error)
{
	if (journal.file != NULL)
		fclose(journal.file);
	journal.file = NULL;
	journal.retry = loop_now() + RETRY_MS;
	if (journal.broken)
		return;
	journal.broken = true;
	log_warning("journal %s: cannot write: %s; mappings are in memory only "
		    "until a write succeeds",
	    journal.path, strerror(error));
}

static void
set_line(const struct mapping *m, char line[LINE_SIZE])
{
	char owner[16] = "-";

	if (m->owner != UID_UNKNOWN)
		snprintf(owner, sizeof(owner), "%" PRIu32, (uint32_t)m->owner);
	snprintf(line, LINE_SIZE, "set %u %u %u %u %s\n", m->prog, m->vers,
	    m->prot, m->port, owner);
}

static int
write_all(FILE *f)
{
	char line[LINE_SIZE];

	fprintf(f, JOURNAL_HEADER "%s\n", journal.boot);
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

/* Write the table to a new file, and replace the journal by it. */
static int
rewrite(void)
{
	FILE *f;
	int fd, error;

	if (!journal.checked) {
		/* it could not be opened at start, so it was not loaded */
		if (access(journal.path, F_OK) == 0)
			move_aside(AT_FDCWD, JOURNAL_UNREAD);
		journal.checked = true;
		if (!journal.enabled)
			return (0);
	}
	if (unlink(journal.temporary) == -1 && errno != ENOENT)
		return (-1);
	fd = open(journal.temporary,
	    O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return (-1);
	if ((f = fdopen(fd, "a")) == NULL || write_all(f) == -1 ||
	    rename(journal.temporary, journal.path) == -1) {
		error = errno;
		if (f != NULL)
			fclose(f);
		else
			close(fd);
		unlink(journal.temporary);
		errno = error;
		return (-1);
	}
	if (journal.file != NULL)
		fclose(journal.file);
	journal.file = f;
	return (0);
}

static void
rewrite_or_retry(void)
{
	if (rewrite() == -1) {
		stop_writing(errno);
		return;
	}
	journal.retry = INT64_MAX;
	if (journal.broken)
		log_warning("journal %s: written again", journal.path);
	journal.broken = false;
}

void
journal_load(struct table *t)
{
	enum journal_fault fault = JOURNAL_GOOD;
	FILE *f;

	journal.table = t;
	if (journal.old_fd != -1) {
		if ((f = fdopen(journal.old_fd, "r")) == NULL)
			log_fatal("out of memory");
		fault = journal_read(f, journal.boot, t);
		fclose(f);
	}
	if (fault == JOURNAL_BOOT)
		log_warning("journal %s: of another boot; starting with no "
			    "mappings",
		    journal.path);
	else if (fault != JOURNAL_GOOD)
		move_aside(AT_FDCWD, fault);
	if (journal.enabled)
		rewrite_or_retry();
}

/* Append a line, or write a new file when it has become too long. */
static void
append(const char *line)
{
	size_t len = strlen(line);
	struct stat st;
	int fd;

	if (journal.file == NULL)
		return;
	fd = fileno(journal.file);
	if (fstat(fd, &st) == 0 && st.st_nlink == 0) {
		stop_writing(ENOENT); /* the file was removed or replaced */
		return;
	}
	/* no stdio: nothing may stay in its buffer after an error */
	errno = ENOSPC; /* write(2) sets no errno on a short write */
	if (write(fd, line, len) != (ssize_t)len) {
		stop_writing(errno);
		return;
	}
	if (++journal.lines > 2 * table_count(journal.table) + GROWN)
		rewrite_or_retry();
}

void
journal_set(const struct mapping *m)
{
	char line[LINE_SIZE];

	set_line(m, line);
	append(line);
}

void
journal_unset(uint32_t prog, uint32_t vers, uint32_t prot)
{
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "unset %u %u %u\n", prog, vers, prot);
	append(line);
}

int64_t
journal_tick(int64_t now)
{
	if (now >= journal.retry)
		rewrite_or_retry();
	return (journal.retry);
}
