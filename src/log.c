/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log.  syslog(3) waits when its socket is full, so a log daemon that
 * hangs would stop us, and through us NFS: the line is sent from here, and
 * dropped when it cannot be sent at once.  For the same reason stderr is
 * only written to when it has room.
 */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "stats.h"

#define LINE_SIZE 1536
#define LINES_A_SECOND 5

static struct {
	bool to_stderr;
	bool to_syslog;
	bool verbose;
	int syslog_fd;
	int64_t window;    /* when the current second began */
	unsigned lines;    /* limited lines in it */
	uint64_t withheld; /* lines left out since the last that says so */
} logger = {.to_stderr = true, .syslog_fd = -1};

static int
connect_syslog(void)
{
	static const struct sockaddr_un addr = {
	    .sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int fd;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == -1) {
		close(fd);
		return (-1);
	}
	return (fd);
}

static void
to_syslog(int level, const char *line)
{
	char msg[LINE_SIZE + 64], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	snprintf(msg, sizeof(msg), "<%d>%s portmap[%ld]: %s",
	    LOG_DAEMON | level, stamp, (long)getpid(), line);

	/* a second attempt, because a log daemon that restarts is not gone */
	for (int attempt = 0; attempt < 2; attempt++) {
		if (logger.syslog_fd == -1)
			logger.syslog_fd = connect_syslog();
		if (logger.syslog_fd == -1)
			return;
		if (send(logger.syslog_fd, msg, strlen(msg),
			MSG_DONTWAIT | MSG_NOSIGNAL) != -1 ||
		    errno == EAGAIN)
			return;
		close(logger.syslog_fd);
		logger.syslog_fd = -1;
	}
}

/* Does systemd listen to stderr?  It names it in JOURNAL_STREAM. */
static bool
is_journal(void)
{
	const char *name = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[64];

	if (name == NULL || fstat(STDERR_FILENO, &st) == -1)
		return (false);
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return (strcmp(name, own) == 0);
}

static void
to_stderr(int level, const char *line)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	char msg[LINE_SIZE + 16];
	int n = 0;

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return;
	if (is_journal()) /* it takes a level: sd-daemon(3) */
		n = snprintf(msg, sizeof(msg), "<%d>", level);
	n += snprintf(msg + n, sizeof(msg) - (size_t)n, "portmap: %s\n", line);
	if (write(STDERR_FILENO, msg, (size_t)n) == -1)
		return; /* there is nobody to tell */
}

/* Whatever came from outside must not speak to the reader's terminal. */
static void
clean(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < ' ' || (unsigned char)*line > '~')
			*line = '?';
}

static void __attribute__((format(printf, 2, 0)))
vemit(int level, const char *fmt, va_list ap)
{
	char line[LINE_SIZE];

	vsnprintf(line, sizeof(line), fmt, ap);
	clean(line);
	if (logger.to_stderr)
		to_stderr(level, line);
	if (logger.to_syslog)
		to_syslog(level, line);
}

static void __attribute__((format(printf, 2, 3)))
emit(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vemit(level, fmt, ap);
	va_end(ap);
}

/* May one more limited line be written in this second? */
static bool
admit(void)
{
	if (logger.lines < LINES_A_SECOND) {
		logger.lines++;
		return (true);
	}
	logger.withheld++;
	return (false);
}

int64_t
log_tick(int64_t now)
{
	if (now - logger.window >= 1000) {
		logger.window = now;
		logger.lines = 0;
		if (logger.withheld > 0) {
			emit(LOG_WARNING, "withheld lines=%" PRIu64,
			    logger.withheld);
			logger.withheld = 0;
			logger.lines = 1;
		}
	}
	return (logger.withheld > 0 ? logger.window + 1000 : INT64_MAX);
}

void
log_open(bool foreground)
{
	logger.to_syslog = !foreground;
	if (foreground)
		return;
	tzset(); /* reads its file now, while it surely can */
	logger.syslog_fd = connect_syslog();
}

void
log_detach(void)
{
	logger.to_stderr = false;
}

void
log_set_verbose(bool verbose)
{
	logger.verbose = verbose;
}

bool
log_verbose(void)
{
	return (logger.verbose);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	logger.to_stderr = logger.to_syslog = true;
	va_start(ap, fmt);
	vemit(LOG_ERR, fmt, ap);
	va_end(ap);
	exit(1);
}

void
log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vemit(LOG_WARNING, fmt, ap);
	va_end(ap);
}

/* Where a call came from, for the log: an address and port, or a uid. */
static const char *
from(const struct peer *peer)
{
	static char text[64];
	char addr[INET_ADDRSTRLEN];

	if (peer->door == DOOR_LOCAL) {
		snprintf(text, sizeof(text), "uid:%lu,pid:%ld",
		    (unsigned long)peer->uid, (long)peer->pid);
		return (text);
	}
	inet_ntop(AF_INET, &peer->from.sin_addr, addr, sizeof(addr));
	snprintf(text, sizeof(text), "%s:%u", addr,
	    (unsigned)ntohs(peer->from.sin_port));
	return (text);
}

static const char *
proc_name(uint32_t proc)
{
	return (proc < PROCS ? pmap_procs[proc] : "unknown");
}

void
log_ready(unsigned port, const char *user, size_t entries)
{
	emit(
	    LOG_INFO, "ready port=%u user=%s entries=%zu", port, user, entries);
}

void
log_stopped(int sig, size_t entries)
{
	emit(LOG_INFO, "stopped signal=%d entries=%zu", sig, entries);
}

void
log_verbosity(void)
{
	emit(LOG_INFO, "verbose %s", logger.verbose ? "on" : "off");
}

/* Append to a line that is being put together; what does not fit is cut. */
static void __attribute__((format(printf, 3, 4)))
append(char *line, size_t *used, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + *used, LINE_SIZE - *used, fmt, ap);
	va_end(ap);
	if (n > 0)
		*used += (size_t)n < LINE_SIZE - *used ? (size_t)n
						       : LINE_SIZE - 1 - *used;
}

void
log_stats(size_t entries, size_t connections, size_t forwards)
{
	char line[LINE_SIZE];
	size_t used = 0;

	append(line, &used, "counters entries=%zu connections=%zu forwards=%zu",
	    entries, connections, forwards);
	for (size_t door = 0; door < DOORS; door++)
		for (size_t proc = 0; proc < PROCS; proc++)
			append(line, &used, " %s.%s=%" PRIu64, pmap_doors[door],
			    pmap_procs[proc], stats.calls[door][proc]);
	for (size_t why = WHY_DOOR; why < WHYS; why++)
		append(line, &used, " refused.%s=%" PRIu64, pmap_whys[why],
		    stats.refused[why]);
	for (size_t i = 0; i < CALLITS; i++)
		append(line, &used, " callit.%s=%" PRIu64, pmap_callits[i],
		    stats.callits[i]);
	append(line, &used,
	    " garbage=%" PRIu64 " shut=%" PRIu64 " too_long=%" PRIu64
	    " evicted=%" PRIu64 " idle=%" PRIu64 " lost=%" PRIu64,
	    stats.garbage, stats.shut, stats.too_long, stats.evicted,
	    stats.idle, stats.lost);
	emit(LOG_INFO, "%s", line);
}

void
log_call(const struct peer *peer, uint32_t proc, const struct mapping *m,
    uint32_t result)
{
	if (!logger.verbose)
		return;
	emit(LOG_INFO,
	    "call proc=%s from=%s door=%s prog=%u vers=%u prot=%u port=%u "
	    "result=%u",
	    proc_name(proc), from(peer), pmap_doors[peer->door], m->prog,
	    m->vers, m->prot, m->port, result);
}

void
log_callit(enum callit what, const struct sockaddr_in *caller, uint32_t prog,
    uint32_t vers, uint32_t proc)
{
	const struct peer peer = {.door = DOOR_NETWORK, .from = *caller};

	stats.callits[what]++;
	if (logger.verbose)
		emit(LOG_INFO, "callit %s from=%s prog=%u vers=%u proc=%u",
		    pmap_callits[what], from(&peer), prog, vers, proc);
}

void
log_refused(const struct peer *peer, uint32_t proc, const struct mapping *m,
    enum why why)
{
	stats.refused[why]++;
	if (!admit())
		return;
	emit(LOG_WARNING,
	    "refused proc=%s from=%s prog=%u vers=%u prot=%u port=%u why=%s",
	    proc_name(proc), from(peer), m->prog, m->vers, m->prot, m->port,
	    pmap_whys[why]);
}

void
log_replaced(const struct mapping *old, const struct mapping *by)
{
	if (!admit())
		return;
	emit(LOG_NOTICE,
	    "replaced prog=%u vers=%u prot=%u port=%u owner=%d by port=%u "
	    "owner=%d",
	    old->prog, old->vers, old->prot, old->port, (int)old->owner,
	    by->port, (int)by->owner);
}

void
log_dropped(const struct peer *peer, const char *why)
{
	stats.garbage++;
	if (!logger.verbose || !admit())
		return;
	emit(LOG_INFO, "dropped from=%s door=%s why=%s", from(peer),
	    pmap_doors[peer->door], why);
}

void
log_evicted(const struct peer *peer)
{
	stats.evicted++;
	if (!admit())
		return;
	emit(LOG_WARNING, "evicted from=%s door=%s", from(peer),
	    pmap_doors[peer->door]);
}

void
log_trouble(const char *what, int error)
{
	if (!admit())
		return;
	emit(LOG_ERR, "trouble with=%s error=%s", what, strerror(error));
}

void
log_dead(const struct mapping *m)
{
	emit(LOG_NOTICE, "dead prog=%u vers=%u prot=%u port=%u owner=%d",
	    m->prog, m->vers, m->prot, m->port, (int)m->owner);
}

void
log_skipped(size_t line, const char *why)
{
	if (!admit())
		return;
	emit(LOG_WARNING, "skipped journal line=%zu why=%s", line, why);
}
