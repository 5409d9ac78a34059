/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syslog(3) blocks while its socket is full, so a log daemon that hangs would
 * stop portmap, and NFS with it.  This module sends the line itself, and drops
 * it if the socket is full.  For the same reason it writes to stderr only if
 * that has room.
 */
#include "logsink.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define ROOM (LOGSINK_LINE + 64) /* for a line and what precedes it */

static struct {
	bool to_stderr;
	bool to_syslog;
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
	char msg[ROOM], stamp[32];
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
	char msg[ROOM];
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
logsink_open(bool foreground)
{
	sink.to_syslog = !foreground;
	if (foreground)
		return;
	tzset(); /* reads /etc/localtime now, while it is reachable */
	sink.syslog_fd = connect_syslog();
}

void
logsink_detach(void)
{
	sink.to_stderr = false;
}

void
logsink_use_all(void)
{
	sink.to_stderr = sink.to_syslog = true;
}

/* Bytes from outside must not reach the terminal of the reader. */
static void
sanitize(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < ' ' || (unsigned char)*line > '~')
			*line = '?';
}

void
logsink_write(int level, char *line)
{
	sanitize(line);
	if (sink.to_stderr)
		to_stderr(level, line);
	/* systemd's journal has it already if stderr is one of its streams */
	if (sink.to_syslog && !(sink.to_stderr && is_journal()))
		to_syslog(level, line);
}
