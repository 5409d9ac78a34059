/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The events of the log, their names, the limit on their number, and where they
 * go.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
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

enum {
	LINES_PER_SECOND = 5,
	LINE_MAX_LEN = 1536, /* bytes of the longest line, with its end */
	COUNTERS_MAX_LEN = 8192
};

#define COUNTERS_FILE "portmap.prom"

struct counters counters;
static int counters_fd = -1;

/*
 * Where lines go.  syslog(3) blocks while its socket is full, so a log daemon
 * that hangs would stop portmap, and NFS with it.  This sends the line itself,
 * and drops it if the socket is full.  For the same reason it writes to stderr
 * only if that has room.
 */

static struct {
	bool to_stderr;
	bool to_syslog;
	bool for_check;
	int syslog_fd;
} sink = {.to_stderr = true, .syslog_fd = -1};

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
	char msg[LINE_MAX_LEN + 64], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	snprintf(msg, sizeof(msg), "<%d>%s portmap[%ld]: %s",
	    LOG_DAEMON | level, stamp, (long)getpid(), line);

	/* twice, because the log daemon may have restarted */
	for (int attempt = 0; attempt < 2; attempt++) {
		if (sink.syslog_fd == -1)
			sink.syslog_fd = connect_syslog();
		if (sink.syslog_fd == -1)
			return;
		if (send(sink.syslog_fd, msg, strlen(msg),
			MSG_DONTWAIT | MSG_NOSIGNAL) != -1 ||
		    errno == EAGAIN)
			return;
		close(sink.syslog_fd);
		sink.syslog_fd = -1;
	}
}

/* Return true if stderr is the journal: JOURNAL_STREAM, systemd.exec(5). */
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
	char msg[LINE_MAX_LEN + 64];
	int n = 0;

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return;
	if (is_journal()) /* with a level: sd-daemon(3) */
		n = snprintf(msg, sizeof(msg), "<%d>", level);
	n += snprintf(msg + n, sizeof(msg) - (size_t)n, "portmap: %s\n", line);
	if (write(STDERR_FILENO, msg, (size_t)n) == -1)
		return; /* there is no other place to report it */
}

void
log_open(bool foreground)
{
	sink.to_syslog = !foreground;
	if (foreground)
		return;
	tzset(); /* reads /etc/localtime now, while it is reachable */
	sink.syslog_fd = connect_syslog();
}

void
log_for_check(void)
{
	sink.for_check = true;
}

void
log_detach(void)
{
	sink.to_stderr = false;
}

/* Bytes from outside must not reach the terminal of the reader. */
static void
sanitize(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < ' ' || (unsigned char)*line > '~')
			*line = '?';
}

/* Write a line, or drop it if there is no room. */
static void
write_line(int level, char *line)
{
	sanitize(line);
	if (sink.to_stderr)
		to_stderr(level, line);
	/* systemd's journal has it already if stderr is one of its streams */
	if (sink.to_syslog && !(sink.to_stderr && is_journal()))
		to_syslog(level, line);
}

/*
 * Lines, and their limit.
 */

/* Events whose lines are limited, so that none can hide another. */
enum event {
	EVENT_REFUSED,
	EVENT_REPLACED,
	EVENT_STALE,
	EVENT_BADCALL,
	EVENT_DENIED,
	EVENT_EVICTED,
	EVENT_DEBT,
	EVENT_SKIPPED,
	EVENT_ERROR,
	EVENTS
};

static struct {
	bool verbose;
	int64_t window; /* when the second began */
	/* in it, of each origin: the network hides nothing of this host */
	uint64_t lines[EVENTS][ORIGINS];
} logger;

static void __attribute__((format(printf, 2, 0)))
vemit(int level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];

	vsnprintf(line, sizeof(line), fmt, ap);
	write_line(level, line);
}

static void __attribute__((format(printf, 2, 3)))
emit(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vemit(level, fmt, ap);
	va_end(ap);
}

/* Return true if one more line of this event may be written in this second. */
static bool
admit(enum event event, enum origin origin)
{
	return (logger.lines[event][origin]++ < LINES_PER_SECOND);
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

static void __attribute__((format(printf, 1, 0)))
vemit_everywhere(const char *fmt, va_list ap)
{
	sink.to_stderr = true;
	sink.to_syslog = !sink.for_check;
	vemit(LOG_ERR, fmt, ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vemit_everywhere(fmt, ap);
	va_end(ap);
	exit(1);
}

void
log_wrong_option(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vemit_everywhere(fmt, ap);
	va_end(ap);
	exit(2);
}

void
log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vemit(LOG_WARNING, fmt, ap);
	va_end(ap);
}

/*
 * Names and values.
 */

static const char *const proc_names[PMAP_PROCS] = {
    "null", "set", "unset", "getport", "dump", "callit"};

static const char *const origin_names[ORIGINS] = {
    "network", "loopback", "local", "ipv6"};

static const char *const verdict_names[VERDICTS] = {
    [VERDICT_OK] = "ok",
    [VERDICT_UNCHANGED] = "unchanged",
    [VERDICT_DENY_ORIGIN] = "origin",
    [VERDICT_DENY_UNKNOWN] = "unknown",
    [VERDICT_DENY_SELF] = "self",
    [VERDICT_DENY_RANGE] = "range",
    [VERDICT_DENY_RESERVED] = "reserved",
    [VERDICT_DENY_HOLDER] = "holder",
    [VERDICT_DENY_PROTECTED] = "protected",
    [VERDICT_DENY_PROGRAM] = "program",
    [VERDICT_DENY_OWNER] = "owner",
    [VERDICT_DENY_BOUND] = "bound",
    [VERDICT_DENY_QUOTA] = "quota",
    [VERDICT_DENY_BUSY] = "busy",
};

static const char *const callit_names[CALLIT_OUTCOMES] = {
    [CALLIT_FORWARDED] = "forwarded",
    [CALLIT_RELAYED] = "relayed",
    [CALLIT_REFUSED] = "refused",
    [CALLIT_UNKNOWN] = "unknown",
    [CALLIT_EXPIRED] = "expired",
    [CALLIT_EVICTED] = "evicted",
    [CALLIT_TOO_LONG] = "too_long",
    [CALLIT_FAILED] = "failed",
};

static const char *
proc_name(uint32_t proc)
{
	return (proc < PMAP_PROCS ? proc_names[proc] : "unknown");
}

struct value {
	char text[64];
};

/* A uid; "-" if it is not known. */
static struct value
uid_text(uid_t uid)
{
	struct value v = {"-"};

	if (uid != UID_UNKNOWN)
		snprintf(v.text, sizeof(v.text), "%lu", (unsigned long)uid);
	return (v);
}

static struct value
caller(const struct peer *peer)
{
	char addr[INET6_ADDRSTRLEN];
	struct value v;

	if (peer->origin == ORIGIN_LOCAL) {
		snprintf(v.text, sizeof(v.text), "uid=%lu pid=%ld",
		    (unsigned long)peer->uid, (long)peer->pid);
	} else if (peer->prot == IPPROTO_NONE && peer->from.sin_port == 0) {
		snprintf(v.text, sizeof(v.text), "uid=%.32s",
		    uid_text(peer->uid).text);
	} else if (peer->origin == ORIGIN_IPV6) {
		inet_ntop(AF_INET6, &peer->from6.sin6_addr, addr, sizeof(addr));
		snprintf(v.text, sizeof(v.text), "from=[%s]:%u", addr,
		    (unsigned)ntohs(peer->from6.sin6_port));
	} else {
		inet_ntop(AF_INET, &peer->from.sin_addr, addr, sizeof(addr));
		snprintf(v.text, sizeof(v.text), "from=%s:%u", addr,
		    (unsigned)ntohs(peer->from.sin_port));
	}
	return (v);
}

/* The name of an errno; strerrorname_np(3) needs glibc 2.32. */
static struct value
errno_name(int error)
{
	static const struct {
		int error;
		const char *name;
	} names[] = {{EACCES, "EACCES"}, {EAGAIN, "EAGAIN"}, {EBUSY, "EBUSY"},
	    {ECONNABORTED, "ECONNABORTED"}, {EMFILE, "EMFILE"},
	    {ENFILE, "ENFILE"}, {ENOBUFS, "ENOBUFS"}, {ENOMEM, "ENOMEM"},
	    {EPERM, "EPERM"}, {EPIPE, "EPIPE"}};
	struct value v;

	snprintf(v.text, sizeof(v.text), "%d", error);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].error == error)
			snprintf(v.text, sizeof(v.text), "%s", names[i].name);
	return (v);
}

/* Begin a new second, and report what was suppressed in the last one. */
static void
renew(enum event event, enum origin origin)
{
	static const char *const names[EVENTS] = {"refused", "replaced",
	    "stale", "badcall", "denied", "evicted", "debt", "skipped",
	    "error"};
	uint64_t lines = logger.lines[event][origin];

	logger.lines[event][origin] = 0;
	if (lines > LINES_PER_SECOND)
		emit(LOG_WARNING, "suppressed event=%s via=%s lines=%" PRIu64,
		    names[event], origin_names[origin],
		    lines - LINES_PER_SECOND);
}

int64_t
log_tick(int64_t now)
{
	bool pending = false;

	for (enum event event = 0; event < EVENTS; event++)
		for (enum origin origin = 0; origin < ORIGINS; origin++) {
			if (now - logger.window >= 1000)
				renew(event, origin);
			pending |=
			    logger.lines[event][origin] > LINES_PER_SECOND;
		}
	if (now - logger.window >= 1000)
		logger.window = now;
	return (pending ? logger.window + 1000 : INT64_MAX);
}

/*
 * Events.
 */

void
log_ready(unsigned port, const char *user, size_t entries, const char *sandbox)
{
	emit(LOG_INFO,
	    "ready version=" VERSION " port=%u user=%s entries=%zu sandbox=%s",
	    port, user, entries, sandbox);
}

void
log_stopped(int sig, size_t entries)
{
	emit(LOG_INFO, "stopped signal=%d entries=%zu", sig, entries);
}

void
log_verbosity(void)
{
	emit(LOG_INFO, "verbose calls=%s", logger.verbose ? "on" : "off");
}

void
log_swept(size_t stale, size_t entries)
{
	emit(LOG_INFO, "swept stale=%zu entries=%zu", stale, entries);
}

void
log_listening(void)
{
	emit(LOG_NOTICE, "listening name=@" PMAP_LOCAL_PATH);
}

void
log_call(const struct peer *peer, uint32_t proc, const struct mapping *m,
    uint32_t result)
{
	char mapping[80] = "";

	if (!logger.verbose)
		return;
	if (m != NULL)
		snprintf(mapping, sizeof(mapping),
		    " prog=%u vers=%u prot=%u port=%u", m->prog, m->vers,
		    m->prot, m->port);
	emit(LOG_INFO, "call proc=%s %s via=%s%s result=%u", proc_name(proc),
	    caller(peer).text, origin_names[peer->origin], mapping, result);
}

void
log_callit(enum callit_outcome outcome, const struct peer *peer, uint32_t prog,
    uint32_t vers, uint32_t proc)
{
	if (logger.verbose)
		emit(LOG_INFO,
		    "callit result=%s %s via=%s prog=%u vers=%u proc=%u",
		    callit_names[outcome], caller(peer).text,
		    origin_names[peer->origin], prog, vers, proc);
}

void
log_stale(const struct mapping *m)
{
	if (admit(EVENT_STALE, ORIGIN_LOCAL))
		emit(LOG_NOTICE,
		    "stale prog=%u vers=%u prot=%u port=%u owner=%s", m->prog,
		    m->vers, m->prot, m->port, uid_text(m->owner).text);
}

void
log_refused(const struct peer *peer, uint32_t proc, const struct mapping *m,
    enum verdict verdict)
{
	if (admit(EVENT_REFUSED, peer->origin))
		emit(LOG_WARNING,
		    "refused proc=%s %s via=%s prog=%u vers=%u prot=%u "
		    "port=%u reason=%s",
		    proc_name(proc), caller(peer).text,
		    origin_names[peer->origin], m->prog, m->vers, m->prot,
		    m->port, verdict_names[verdict]);
}

void
log_replaced(const struct mapping *old, const struct mapping *by)
{
	if (admit(EVENT_REPLACED, ORIGIN_LOCAL))
		emit(LOG_NOTICE,
		    "replaced prog=%u vers=%u prot=%u port=%u owner=%s "
		    "new_port=%u new_owner=%s",
		    old->prog, old->vers, old->prot, old->port,
		    uid_text(old->owner).text, by->port,
		    uid_text(by->owner).text);
}

void
log_badcall(const struct peer *peer, const char *reason)
{
	if (logger.verbose && admit(EVENT_BADCALL, peer->origin))
		emit(LOG_INFO, "badcall %s via=%s reason=%s", caller(peer).text,
		    origin_names[peer->origin], reason);
}

void
log_denied(const struct peer *peer)
{
	if (logger.verbose || admit(EVENT_DENIED, peer->origin))
		emit(LOG_NOTICE, "denied %s via=%s", caller(peer).text,
		    origin_names[peer->origin]);
}

void
log_evicted(const struct peer *peer)
{
	if (admit(EVENT_EVICTED, peer->origin))
		emit(LOG_WARNING, "evicted %s via=%s", caller(peer).text,
		    origin_names[peer->origin]);
}

void
log_debt(const struct peer *peer, int64_t us)
{
	if (admit(EVENT_DEBT, peer->origin))
		emit(LOG_WARNING, "debt %s via=%s us=%" PRId64,
		    caller(peer).text, origin_names[peer->origin], us);
}

void
log_skipped(const struct mapping *m, enum verdict verdict)
{
	if (admit(EVENT_SKIPPED, ORIGIN_LOCAL))
		emit(LOG_WARNING,
		    "skipped prog=%u vers=%u prot=%u port=%u owner=%s "
		    "reason=%s",
		    m->prog, m->vers, m->prot, m->port, uid_text(m->owner).text,
		    verdict_names[verdict]);
}

void
log_error(const char *what, int error)
{
	if (admit(EVENT_ERROR, ORIGIN_LOCAL))
		emit(LOG_ERR, "error what=%s errno=%s", what,
		    errno_name(error).text);
}

/*
 * Counters: in a line of the log, and in a file for Prometheus.  The format of
 * that is https://prometheus.io/docs/instrumenting/exposition_formats/.
 */

struct text {
	char bytes[COUNTERS_MAX_LEN];
	size_t used;
};

/* What does not fit is cut. */
static void __attribute__((format(printf, 2, 3)))
append(struct text *t, const char *fmt, ...)
{
	size_t room = sizeof(t->bytes) - t->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->bytes + t->used, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void
append_help(
    struct text *file, const char *name, const char *type, const char *help)
{
	append(file, "# HELP portmap_%s %s\n# TYPE portmap_%s %s\n", name, help,
	    name, type);
}

struct number {
	const char *name, *help;
	uint64_t value;
};

/* Append each as a family of its own, with the suffix in the file. */
static void
append_numbers(struct text *line, struct text *file, const char *type,
    const char *suffix, const struct number *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct number *n = &numbers[i];
		char name[32];

		snprintf(name, sizeof(name), "%s%s", n->name, suffix);
		append(line, " %s=%" PRIu64, n->name, n->value);
		append_help(file, name, type, n->help);
		append(file, "portmap_%s %" PRIu64 "\n", name, n->value);
	}
}

static void
append_calls(struct text *line, struct text *file)
{
	append_help(
	    file, "calls_total", "counter", "Calls, by origin and procedure.");
	for (size_t i = 0; i < ORIGINS; i++)
		for (size_t proc = 0; proc < PMAP_PROCS; proc++) {
			uint64_t value = counters.calls[i][proc];

			append(line, " %s.%s=%" PRIu64, origin_names[i],
			    proc_names[proc], value);
			append(file,
			    "portmap_calls_total{via=\"%s\",proc=\"%s\"} "
			    "%" PRIu64 "\n",
			    origin_names[i], proc_names[proc], value);
		}
}

/* Append counters that differ in one word. */
static void
append_kinds(struct text *line, struct text *file, const char *name,
    const char *label, const char *const *words, const uint64_t *values,
    size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		append(line, " %s.%s=%" PRIu64, name, words[i], values[i]);
		append(file, "portmap_%s_total{%s=\"%s\"} %" PRIu64 "\n", name,
		    label, words[i], values[i]);
	}
}

void
log_open_counters(int dir_fd)
{
	/* not an earlier daemon's, which may have been another user */
	unlinkat(dir_fd, COUNTERS_FILE, 0);
	counters_fd = openat(dir_fd, COUNTERS_FILE,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
}

void
log_counters(size_t entries, size_t connections, size_t callits)
{
	const struct number gauges[] = {
	    {"entries", "Mappings, two of portmap itself included.", entries},
	    {"connections", "Open connections.", connections},
	    {"callits", "Forwarded calls without a reply yet.", callits},
	};
	const struct number others[] = {
	    {"badcalls", "Calls that were not served.", counters.badcalls},
	    {"acl_denied", "Calls denied by -a.", counters.acl_denied},
	    {"too_long", "Replies longer than their call.", counters.too_long},
	    {"evicted", "Connections closed for others.", counters.evicted},
	    {"idle", "Connections closed after 30 s.", counters.idle},
	    {"lost", "Replies that could not be sent.", counters.lost},
	    {"in_debt", "UDP and forwarded calls of callers in debt.",
		counters.in_debt},
	};
	struct text line = {.used = 0}, file = {.used = 0};

	append_numbers(&line, &file, "gauge", "", gauges,
	    sizeof(gauges) / sizeof(*gauges));
	append_calls(&line, &file);
	append_help(&file, "refused_total", "counter",
	    "Changes that were refused, by reason.");
	append_kinds(&line, &file, "refused", "reason", verdict_names,
	    counters.refused, VERDICT_DENY_ORIGIN, VERDICTS);
	append_help(&file, "callit_total", "counter",
	    "Calls to be forwarded, by result.");
	append_kinds(&line, &file, "callit", "result", callit_names,
	    counters.callits, 0, CALLIT_OUTCOMES);
	append_numbers(&line, &file, "counter", "_total", others,
	    sizeof(others) / sizeof(*others));
	emit(LOG_INFO, "counters%s", line.bytes);
	if (counters_fd != -1 &&
	    (pwrite(counters_fd, file.bytes, file.used, 0) !=
		    (ssize_t)file.used ||
		ftruncate(counters_fd, (off_t)file.used) == -1))
		log_error("counters", errno);
}
