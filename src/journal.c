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
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "policy.h"

#define HEADER "portmap journal 1 boot="

enum {
	LINE_MAX_LEN = 128,
	GROWN = 1024, /* lines beyond twice what is alive: write it anew */
	RETRY_MS = 1000,
	READ_MAX = 64 * 1024 * 1024, /* of a journal: far beyond any of ours */
};

static struct {
	char path[PATH_MAX];
	char temporary[PATH_MAX + 8];
	char boot[64];
	const struct table *table;
	int old_fd;     /* what was there at start, to be loaded */
	int fd;         /* -1: there is none, or it is broken */
	struct stat st; /* of fd */
	size_t lines;
	bool kept;   /* a journal is wanted */
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
		strcpy(journal.boot, "-");
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
move_aside(int dir_fd, const char *name, const char *why)
{
	char aside[NAME_MAX + 16];

	for (unsigned i = 1; i < 1000; i++) {
		snprintf(aside, sizeof(aside), "%s.bad%u", name, i);
		if (renameat2(dir_fd, name, dir_fd, aside, RENAME_NOREPLACE) ==
		    0) {
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

/*
 * Open the directory, made if need be: its descriptor, or -1.  `st` is as it
 * was before anything was changed.
 */
static int
open_dir(const char *dir, bool own_dir, uid_t uid, gid_t gid, struct stat *st)
{
	bool made = mkdir(dir, 0700) == 0;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return (-1);
	if (fstat(fd, st) == -1 ||
	    ((made || own_dir) && st->st_uid != uid &&
		fchown(fd, uid, gid) == -1) ||
	    ((made || own_dir) && fchmod(fd, 0700) == -1)) {
		close(fd);
		return (-1);
	}
	return (fd);
}

/* Take over what is there, if it is to be believed. */
static void
take_over(int dir_fd, const char *name, uid_t owner, uid_t uid, gid_t gid)
{
	const char *why = NULL;
	struct stat st;
	int fd = openat(dir_fd, name,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1 && errno == ENOENT)
		return;
	if (fd == -1)
		why = "type"; /* a symbolic link, a socket, a dead device */
	else if (fstat(fd, &st) == -1)
		why = "type";
	else
		why = distrust(&st, owner);
	if (why == NULL && st.st_uid != uid && fchown(fd, uid, gid) == -1)
		why = "owner";
	if (why == NULL) {
		journal.old_fd = fd;
		return;
	}
	if (fd != -1)
		close(fd);
	move_aside(dir_fd, name, why);
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

void
journal_prepare(const char *path, bool own_dir, uid_t uid, gid_t gid)
{
	char dir[PATH_MAX];
	struct stat st;
	char *name;
	int dir_fd;

	if (path == NULL)
		return;
	if (strlen(path) >= sizeof(dir) || path[0] != '/')
		log_fatal("-m %s: give the whole path of a file, from / on, or "
			  "none",
		    path);
	journal.kept = true;
	strcpy(journal.path, path);
	snprintf(journal.temporary, sizeof(journal.temporary), "%s.new", path);
	read_boot_id();

	strcpy(dir, path);
	name = strrchr(dir, '/');
	*name++ = '\0';
	if (*name == '\0')
		log_fatal(
		    "-m %s: that is a directory: give a file in it", path);
	dir_fd = open_dir(dir[0] == '\0' ? "/" : dir, own_dir, uid, gid, &st);
	if (dir_fd == -1)
		return; /* the first attempt to write will say so */
	/* in our own directory: whoever it belonged to until now */
	take_over(dir_fd, name, own_dir ? st.st_uid : uid, uid, gid);
	close(dir_fd);
}

/*
 * Loading: strictly, for nobody knows what has happened to it.
 */

/* Read a number up to `max` and the character behind it. */
static bool
number(const char **p, uint32_t max, char then, uint32_t *value)
{
	uint64_t n = 0;
	const char *start = *p;

	while (**p >= '0' && **p <= '9' && n <= max)
		n = n * 10 + (uint64_t)(*(*p)++ - '0');
	if (*p == start || (*start == '0' && *p != start + 1) || n > max ||
	    **p != then)
		return (false);
	if (then != '\0')
		(*p)++;
	*value = (uint32_t)n;
	return (true);
}

/* A record: 's'et, 'u'nset, or 0 when it is none. */
static char
parse(const char *line, struct mapping *m)
{
	const char *p;
	uint32_t owner;

	if (strncmp(line, "set ", 4) == 0) {
		p = line + 4;
		if (!number(&p, UINT32_MAX, ' ', &m->prog) ||
		    !number(&p, UINT32_MAX, ' ', &m->vers) ||
		    !number(&p, UINT8_MAX, ' ', &m->prot) ||
		    !number(&p, PORT_MAX, ' ', &m->port))
			return (0);
		m->owner = OWNER_NONE;
		if (strcmp(p, "-") == 0)
			return ('s');
		if (!number(&p, UINT32_MAX - 1, '\0', &owner))
			return (0);
		m->owner = (uid_t)owner;
		return ('s');
	}
	if (strncmp(line, "unset ", 6) == 0) {
		p = line + 6;
		if (number(&p, UINT32_MAX, ' ', &m->prog) &&
		    number(&p, UINT32_MAX, ' ', &m->vers) &&
		    number(&p, UINT8_MAX, '\0', &m->prot))
			return ('u');
	}
	return (0);
}

/* The rules that hold without knowing who is asking; see policy_set(). */
static enum why
allowed(const struct table *t, const struct mapping *m)
{
	const struct facts facts = {
	    .same = table_get(t, m->prog, m->vers, m->prot),
	    .bound = BOUND_NO,
	    .holder = true,
	    .all = table_count(t) - TABLE_OWN,
	    .others = table_count_others(t),
	    .own = table_count_owner(t, m->owner),
	};

	return (policy_set(m->owner, m, &facts));
}

/* One line of the journal: NULL, or why it is skipped. */
static const char *
replay(struct table *t, const char *line)
{
	static const uint32_t prots[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct mapping m = {0};
	enum why why;

	switch (parse(line, &m)) {
	case 's':
		why = allowed(t, &m);
		if (why > WHY_SAME)
			return (pmap_whys[why]);
		return (why == WHY_GRANTED && table_put(t, &m) == -1 ? "memory"
								     : NULL);
	case 'u':
		if (m.prog == PMAP_PROG)
			return (pmap_whys[WHY_SELF]);
		for (size_t i = 0; i < 2; i++)
			if (m.prot == 0 || m.prot == prots[i])
				table_remove(t, m.prog, m.vers, prots[i]);
		return (NULL);
	default:
		return ("malformed");
	}
}

/* Is the first line ours?  NULL, or why nothing of it is believed. */
static const char *
judge_header(const char *line)
{
	if (strncmp(line, HEADER, strlen(HEADER)) != 0)
		return ("format");
	return (
	    strcmp(line + strlen(HEADER), journal.boot) == 0 ? NULL : "boot");
}

/*
 * All lines of the old journal.  A last one without an end was being written
 * when we died; one that is too long, or holds a NUL, is none of ours.
 * NULL, or why nothing of it is believed.
 */
static const char *
replay_all(struct table *t, FILE *f)
{
	char line[LINE_MAX_LEN + 2];
	const char *why;
	size_t used = 0, number_of = 0, total = 0;
	bool whole = true;
	int c;

	while ((c = getc(f)) != EOF && total++ < READ_MAX) {
		if (c != '\n') {
			if (c == '\0' || used > LINE_MAX_LEN)
				whole = false;
			else
				line[used++] = (char)c;
			continue;
		}
		line[used] = '\0';
		number_of++;
		if (number_of == 1) {
			if ((why = whole ? judge_header(line) : "format") !=
			    NULL)
				return (why);
		} else if ((why = whole ? replay(t, line) : "malformed") !=
			   NULL) {
			log_skipped(number_of, why);
		}
		used = 0;
		whole = true;
	}
	if (number_of == 0 && total > 0)
		return ("format");
	if (c != EOF)
		log_skipped(number_of + 1, "too_long");
	return (NULL);
}

/* A journal that is not one after all: keep it for the operator. */
static void
set_aside_at_load(const char *why)
{
	char dir[PATH_MAX];
	char *name;
	int dir_fd;

	if (strcmp(why, "boot") == 0) {
		log_warning("journal %s is of another boot: starting empty",
		    journal.path);
		return;
	}
	strcpy(dir, journal.path);
	name = strrchr(dir, '/');
	*name++ = '\0';
	dir_fd = open(
	    dir[0] == '\0' ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd == -1)
		return;
	move_aside(dir_fd, name, why);
	close(dir_fd);
}

/*
 * Writing.
 */

static void __attribute__((format(printf, 1, 2))) append(const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	struct stat st;
	va_list ap;
	int len;

	if (journal.fd == -1)
		return;
	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
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
	if (write(journal.fd, line, (size_t)len) != len)
		broke(errno);
	journal.lines++;
}

static void
owner_text(uid_t owner, char text[16])
{
	if (owner == OWNER_NONE)
		strcpy(text, "-");
	else
		snprintf(text, 16, "%" PRIu32, (uint32_t)owner);
}

static int
write_all(FILE *f)
{
	char owner[16];

	fprintf(f, HEADER "%s\n", journal.boot);
	journal.lines = 1;
	for (const struct mapping *m = table_first(journal.table); m != NULL;
	     m = table_next(m)) {
		if (m->prog == PMAP_PROG)
			continue;
		owner_text(m->owner, owner);
		fprintf(f, "set %u %u %u %u %s\n", m->prog, m->vers, m->prot,
		    m->port, owner);
		journal.lines++;
	}
	return (fflush(f) == EOF || ferror(f) ? -1 : 0);
}

/* The whole table into a new file, which takes the place of the old one. */
static int
rewrite(void)
{
	FILE *f;
	int fd, error;

	if (unlink(journal.temporary) == -1 && errno != ENOENT)
		return (-1);
	fd = open(journal.temporary,
	    O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return (-1);
	if ((f = fdopen(dup(fd), "a")) == NULL || write_all(f) == -1 ||
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
		if ((f = fdopen(journal.old_fd, "r")) == NULL) {
			close(journal.old_fd);
			why = "memory";
		} else {
			why = replay_all(t, f);
			fclose(f);
		}
		journal.old_fd = -1;
	}
	if (why != NULL)
		set_aside_at_load(why);
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
	char owner[16];

	owner_text(m->owner, owner);
	append(
	    "set %u %u %u %u %s\n", m->prog, m->vers, m->prot, m->port, owner);
	rewrite_if_grown();
}

void
journal_unset(uint32_t prog, uint32_t vers, uint32_t prot)
{
	append("unset %u %u %u\n", prog, vers, prot);
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
