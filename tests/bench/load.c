/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Load for a port mapper at 127.0.0.1, every reply checked.
 *
 *	load MODE REQUESTS WINDOW CALL [SIZE]
 *	load start CALL COMMAND...
 *
 * MODE	udp, tcp (16 connections that are kept, WINDOW deep each), connect (a
 *	connection each, WINDOW of them at once), local (a connection each to
 *	/run/rpcbind.sock), or rate (udp, WINDOW a second, prints the latency);
 *	start runs a command and prints the microseconds to its first reply
 * CALL	null, get:N (the mapping of number N, of those that fill made),
 *	miss, dump, change (SET, then UNSET, of version 3), change2 (of version
 *	2, from a privileged port), fill:N (SET N mappings), or
 *	echo:BYTES (no RPC: BYTES are sent and must come back; with SIZE, so
 *	many come back)
 *
 * Prints nothing but what was asked for, and ends with status 1 after a line
 * that says what was wrong.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "be32.h"

enum {
	PMAP_PROG = 100000,
	PORT = 111,
	BASE_PROG = 0x20000000, /* mappings: BASE_PROG + i, version 1, UDP */
	BASE_PORT = 20000,
	PORTS = 100, /* that the benchmark has bound */
	WINDOW_MAX = 256,
	CONNECTIONS = 16, /* that are kept */
	REQUEST_MAX = 256,
	REPLY_MAX = 512 * 1024,
};

enum kind {
	CALL_NULL,
	CALL_GET,
	CALL_MISS,
	CALL_DUMP,
	CALL_CHANGE,
	CALL_CHANGE2,
	CALL_FILL,
	CALL_ECHO
};

static enum kind kind;
static uint32_t number; /* behind the colon of CALL */
static size_t echoed;   /* bytes that come back */
static uint32_t last_xid;

struct request {
	uint32_t xid;
	size_t len;
	uint8_t bytes[REQUEST_MAX];
};

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static void
put(struct request *r, uint32_t word)
{
	be32enc(r->bytes + r->len, word);
	r->len += 4;
}

static void
put_string(struct request *r, const char *text)
{
	size_t len = strlen(text);

	put(r, (uint32_t)len);
	memset(r->bytes + r->len, 0, (len + 3) & ~(size_t)3);
	memcpy(r->bytes + r->len, text, len);
	r->len += (len + 3) & ~(size_t)3;
}

/* SET or UNSET of version 3, as libtirpc's servers send it. */
static void
put_change(struct request *r, uint32_t i)
{
	char uaddr[32];
	unsigned port = BASE_PORT + i % PORTS;

	put(r, BASE_PROG + i);
	put(r, 1);
	put_string(r, "udp");
	snprintf(uaddr, sizeof(uaddr), "0.0.0.0.%u.%u", port >> 8, port & 255);
	put_string(r, uaddr);
	put_string(r, "superuser");
}

/* The i-th request of this run, behind `mark` bytes for a record mark. */
static void
make(struct request *r, uint32_t i, size_t mark)
{
	uint32_t vers = 2, proc = 0;

	r->len = mark;
	r->xid = ++last_xid;
	if (kind == CALL_ECHO) {
		memset(r->bytes + mark, 'e', number);
		r->len += number;
	} else {
		if (kind == CALL_GET || kind == CALL_MISS)
			proc = 3;
		else if (kind == CALL_DUMP)
			proc = 4;
		else if (kind == CALL_FILL)
			proc = 1;
		else if (kind == CALL_CHANGE || kind == CALL_CHANGE2)
			proc = i % 2 == 1 ? 2 : 1;
		if (kind == CALL_CHANGE || kind == CALL_FILL)
			vers = 3;
		put(r, r->xid);
		put(r, 0);
		put(r, 2);
		put(r, PMAP_PROG);
		put(r, vers);
		put(r, proc);
		for (int word = 0; word < 4; word++)
			put(r, 0); /* AUTH_NONE, twice */
		if (proc == 3) {
			put(r, kind == CALL_GET ? BASE_PROG + number : 7);
			put(r, 1);
			put(r, IPPROTO_UDP);
			put(r, 0);
		}
		if (kind == CALL_CHANGE)
			put_change(r, 50000);
		if (kind == CALL_CHANGE2) {
			put(r, BASE_PROG + 50000);
			put(r, 1);
			put(r, IPPROTO_UDP);
			put(r, BASE_PORT);
		}
		if (kind == CALL_FILL)
			put_change(r, i);
	}
	if (mark > 0)
		be32enc(r->bytes, 0x80000000u | (uint32_t)(r->len - mark));
}

/* A DUMP has all mappings that fill made, in their order, and no other's. */
static void
check_list(const uint8_t *bytes, size_t len)
{
	size_t at = 6, end = len / 4;
	uint32_t n = 0;

	for (; at + 5 < end && be32dec(bytes + 4 * at) == 1; at += 5) {
		if (be32dec(bytes + 4 * (at + 1)) != BASE_PROG + n)
			continue;
		if (be32dec(bytes + 4 * (at + 4)) != BASE_PORT + n % PORTS)
			fail("a DUMP with a wrong port");
		n++;
	}
	if (n != number || at + 1 != end || be32dec(bytes + 4 * at) != 0)
		fail("a DUMP of %u of our mappings", n);
}

/* Is it the reply to that request, whole and right? */
static void
check(const struct request *r, const uint8_t *bytes, size_t len)
{
	if (kind == CALL_ECHO) {
		if (len != echoed || bytes[len - 1] != 'e')
			fail("%zu bytes came back, not %zu", len, echoed);
		return;
	}
	if (len < 24 || be32dec(bytes) != r->xid || be32dec(bytes + 4) != 1)
		fail("no reply to call %u", r->xid);
	for (size_t i = 2; i < 6; i++)
		if (be32dec(bytes + 4 * i) != 0)
			fail("call %u did not succeed", r->xid);
	switch (kind) {
	case CALL_GET:
		if (len != 28 ||
		    be32dec(bytes + 24) != BASE_PORT + number % PORTS)
			fail("a wrong port");
		break;
	case CALL_MISS:
		if (len != 28 || be32dec(bytes + 24) != 0)
			fail("a port for what is not registered");
		break;
	case CALL_CHANGE:
	case CALL_CHANGE2:
	case CALL_FILL:
		if (len != 28 || be32dec(bytes + 24) != 1)
			fail("a change was refused");
		break;
	case CALL_DUMP:
		check_list(bytes, len);
		break;
	default:
		break;
	}
}

static void
patience(int fd, suseconds_t us)
{
	struct timeval tv = {us / 1000000, us % 1000000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static int
dial_to(int type, const struct sockaddr *to, socklen_t len)
{
	int fd = socket(to->sa_family, type, 0);

	if (fd == -1 ||
	    (kind == CALL_CHANGE2 && bindresvport(fd, NULL) == -1) ||
	    connect(fd, to, len) == -1)
		fail("cannot connect: %s", strerror(errno));
	patience(fd, 5000000);
	return (fd);
}

static int
dial(int type)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(PORT),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = dial_to(type, (const void *)&to, sizeof(to));
	int one = 1, room = 4 << 20;

	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	else
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	return (fd);
}

static int
dial_local(void)
{
	const struct sockaddr_un to = {
	    .sun_family = AF_UNIX, .sun_path = "/run/rpcbind.sock"};

	return (dial_to(SOCK_STREAM, (const void *)&to, sizeof(to)));
}

static void
send_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			fail("cannot send: %s", strerror(errno));
		bytes += n;
		len -= (size_t)n;
	}
}

/* Input of a stream: what was read beyond the last record is kept. */
static struct {
	uint8_t bytes[REPLY_MAX];
	size_t len, at;
} in;

static void
need(int fd, size_t len)
{
	while (in.len - in.at < len) {
		ssize_t n;

		memmove(in.bytes, in.bytes + in.at, in.len - in.at);
		in.len -= in.at;
		in.at = 0;
		n = recv(fd, in.bytes + in.len, sizeof(in.bytes) - in.len, 0);
		if (n <= 0)
			fail("no reply by the stream: %s", strerror(errno));
		in.len += (size_t)n;
	}
}

/* A record of one or more fragments (RFC 5531 section 11), checked. */
static void
receive_record(int fd, const struct request *r)
{
	static uint8_t record[REPLY_MAX];
	size_t len = 0, part;
	uint32_t mark = 0;

	if (kind == CALL_ECHO && number != echoed) {
		need(fd, echoed);
		for (size_t i = number + 4; i < echoed; i++)
			if (in.bytes[in.at + i] != 'e')
				fail("something else than was sent");
		in.at += echoed;
		return;
	}
	while (!(mark & 0x80000000u)) {
		need(fd, 4);
		mark = be32dec(in.bytes + in.at);
		in.at += 4;
		part = mark & 0x7fffffff;
		if (len + part > sizeof(record))
			fail("a record that is too long");
		need(fd, part);
		memcpy(record + len, in.bytes + in.at, part);
		in.at += part;
		len += part;
	}
	check(r, record, len);
}

static void
run_udp(uint32_t n, uint32_t window)
{
	static struct request requests[WINDOW_MAX];
	static struct mmsghdr out[WINDOW_MAX], msgs[WINDOW_MAX];
	static struct iovec out_iov[WINDOW_MAX], iov[WINDOW_MAX];
	static uint8_t bytes[WINDOW_MAX][2048];
	int fd = dial(SOCK_DGRAM);
	uint32_t sent = 0, done = 0;

	for (uint32_t i = 0; i < window; i++) {
		out_iov[i].iov_base = requests[i].bytes;
		out[i].msg_hdr.msg_iov = &out_iov[i];
		iov[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		out[i].msg_hdr.msg_iovlen = msgs[i].msg_hdr.msg_iovlen = 1;
	}
	/* as many are outstanding as the window is wide, always */
	while (done < n) {
		uint32_t room = window - (sent - done), count = 0;
		int got;

		for (; count < room && sent < n; count++, sent++) {
			struct request *r = &requests[sent % window];

			make(r, sent, 0);
			out_iov[count] = (struct iovec){r->bytes, r->len};
		}
		for (uint32_t i = 0; i < count;) {
			int k = sendmmsg(fd, out + i, count - i, 0);

			if (k <= 0)
				fail("cannot send: %s", strerror(errno));
			i += (uint32_t)k;
		}
		got = recvmmsg(fd, msgs, window, MSG_WAITFORONE, NULL);
		if (got <= 0)
			fail("no reply: %s", strerror(errno));
		/* the server replies in order */
		for (int i = 0; i < got; i++, done++)
			check(&requests[done % window], bytes[i],
			    msgs[i].msg_len);
	}
	close(fd);
}

/* Each of some connections that are kept has WINDOW calls outstanding. */
static void
run_tcp(uint32_t n, uint32_t window)
{
	static struct request requests[CONNECTIONS][WINDOW_MAX];
	static uint8_t bytes[WINDOW_MAX * REQUEST_MAX];
	int fds[CONNECTIONS];

	for (uint32_t c = 0; c < CONNECTIONS; c++)
		fds[c] = dial(SOCK_STREAM);
	for (uint32_t i = 0; i < n; i += window * CONNECTIONS) {
		for (uint32_t c = 0; c < CONNECTIONS; c++) {
			size_t len = 0;

			for (uint32_t k = 0; k < window; k++) {
				struct request *r = &requests[c][k];

				make(r, k, 4);
				memcpy(bytes + len, r->bytes, r->len);
				len += r->len;
			}
			send_all(fds[c], bytes, len);
		}
		for (uint32_t c = 0; c < CONNECTIONS; c++)
			for (uint32_t k = 0; k < window; k++)
				receive_record(fds[c], &requests[c][k]);
	}
	for (uint32_t c = 0; c < CONNECTIONS; c++)
		close(fds[c]);
}

static void
run_connect(uint32_t n, uint32_t window, bool local)
{
	static struct request requests[WINDOW_MAX];
	int fds[WINDOW_MAX];

	for (uint32_t i = 0; i < n; i += window) {
		for (uint32_t k = 0; k < window; k++) {
			fds[k] = local ? dial_local() : dial(SOCK_STREAM);
			make(&requests[k], i + k, 4);
			send_all(fds[k], requests[k].bytes, requests[k].len);
		}
		for (uint32_t k = 0; k < window; k++) {
			in.at = in.len = 0;
			receive_record(fds[k], &requests[k]);
			close(fds[k]);
		}
	}
}

/* Many SETs by one connection. */
static void
fill(void)
{
	int fd = dial_local();
	struct request r;

	for (uint32_t i = 0; i < number; i++) {
		make(&r, i, 4);
		send_all(fd, r.bytes, r.len);
		receive_record(fd, &r);
	}
	close(fd);
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return ((*x > *y) - (*x < *y));
}

static void
run_rate(uint32_t n, uint32_t rate)
{
	double *waits = calloc(n, sizeof(*waits)), due = now();
	int fd = dial(SOCK_DGRAM);
	uint8_t bytes[2048];
	struct request r;

	for (uint32_t i = 0; i < n; i++) {
		double pause = due - now(), began;
		ssize_t len;

		if (pause > 0)
			usleep((useconds_t)(pause * 1e6));
		due += 1.0 / rate;
		make(&r, i, 0);
		began = now();
		if (send(fd, r.bytes, r.len, 0) == -1)
			fail("cannot send: %s", strerror(errno));
		len = recv(fd, bytes, sizeof(bytes), 0);
		if (len == -1)
			fail("no reply: %s", strerror(errno));
		check(&r, bytes, (size_t)len);
		waits[i] = now() - began;
	}
	qsort(waits, n, sizeof(*waits), compare);
	printf("%.1f %.1f\n", waits[n / 2] * 1e6, waits[n - 1 - n / 100] * 1e6);
	free(waits);
	close(fd);
}

/* We ask without a pause: not where the server is to run. */
static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		sched_setaffinity(0, sizeof(set), &set);
}

/* Microseconds from exec to the first reply; then it is killed. */
static void
run_start(char *const command[])
{
	uint8_t bytes[2048];
	struct request r;
	double began, took;
	ssize_t len = -1;
	pid_t pid;
	int fd;

	pin(0);
	began = now();
	if ((pid = fork()) == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	pin(1);
	fd = dial(SOCK_DGRAM);
	patience(fd, 20000);
	make(&r, 0, 0); /* one call, sent again: any reply to it will do */
	while (len == -1 && now() - began < 10) {
		/* nobody listens there yet: the kernel says so at once */
		if (send(fd, r.bytes, r.len, 0) != -1)
			len = recv(fd, bytes, sizeof(bytes), 0);
	}
	took = now() - began;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (len == -1)
		fail("%s does not reply", command[0]);
	check(&r, bytes, (size_t)len);
	printf("%.0f\n", took * 1e6);
}

static void
parse_call(const char *text)
{
	static const char *const names[] = {
	    "null", "get", "miss", "dump", "change", "change2", "fill", "echo"};
	size_t len = strcspn(text, ":");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) == len &&
		    memcmp(names[i], text, len) == 0) {
			kind = (enum kind)i;
			if (text[len] == ':')
				number =
				    (uint32_t)strtoul(text + len + 1, NULL, 10);
			return;
		}
	}
	fail("%s is no call", text);
}

int
main(int argc, char *argv[])
{
	uint32_t n, window;
	const char *mode;

	if (argc > 3 && strcmp(argv[1], "start") == 0) {
		parse_call(argv[2]);
		echoed = number;
		run_start(argv + 3);
		return (0);
	}
	if (argc < 5)
		fail("load MODE REQUESTS WINDOW CALL [SIZE]");
	mode = argv[1];
	n = (uint32_t)strtoul(argv[2], NULL, 10);
	window = (uint32_t)strtoul(argv[3], NULL, 10);
	parse_call(argv[4]);
	echoed = argc > 5 ? strtoul(argv[5], NULL, 10) : number;
	if (kind == CALL_ECHO && number > REQUEST_MAX - 4)
		fail("%u bytes are too many", number);
	if (strcmp(mode, "rate") == 0)
		run_rate(n, window);
	else if (window == 0 || window > WINDOW_MAX || n % window != 0 ||
		 (strcmp(mode, "tcp") == 0 && n % (window * CONNECTIONS) != 0))
		fail("a window of %u for %u requests", window, n);
	else if (kind == CALL_FILL)
		fill();
	else if (strcmp(mode, "udp") == 0)
		run_udp(n, window);
	else if (strcmp(mode, "tcp") == 0)
		run_tcp(n, window);
	else if (strcmp(mode, "connect") == 0)
		run_connect(n, window, false);
	else if (strcmp(mode, "local") == 0)
		run_connect(n, window, true);
	else
		fail("%s is no mode", mode);
	return (0);
}
