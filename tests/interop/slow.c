/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A caller on this host for whom the kernel works long within the system calls
 * of the port mapper:
 *
 *   slow udp N        N sockets share the UDP port from which it calls
 *   slow epoll N M    N epoll instances watch each of M local connections
 *   slow tcp N M      the same over TCP
 *   slow owner N M    N processes get SIGIO for each of M connections
 *   slow udp6 N M     N epoll instances watch M sockets of IPv6, from which
 *                     it calls, each time from other ports
 *   slow filter PORT  the same by CALLIT, to the service at PORT; its socket,
 *                     which is here, has a filter that takes long
 *   slow service PORT a service with such a filter, and no calls
 *   slow relay N PORT N epoll instances watch the socket to which the replies
 *                     of this service are relayed
 *
 * Prints "ready", and calls until it is killed.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/filter.h>

enum {
	PROG = 0x20000700, /* of the service */
	ARGS_LEN = 8000
};

/* NULL of version 2 */
static uint32_t call[11];

static void
ready(void)
{
	puts("ready");
	fflush(stdout);
}

static struct sockaddr_in
loopback(in_port_t port)
{
	return ((struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}});
}

/* Read all that has come. */
static void
drain(int fd)
{
	char reply[4096];

	while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0)
		;
}

static int
connect_to(bool tcp)
{
	struct sockaddr_un local = {
	    .sun_family = AF_UNIX, .sun_path = "/run/rpcbind.sock"};
	struct sockaddr_in inet = loopback(111);
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);

	if (fd == -1 || connect(fd, tcp ? (void *)&inet : (void *)&local,
			    tcp ? sizeof(inet) : sizeof(local)) == -1)
		err(1, "connect");
	return (fd);
}

/* Call on each connection in turn, and read what has been replied. */
static void
call_on(const int *fds, int count)
{
	ready();
	for (;;) {
		for (int i = 0; i < count; i++) {
			if (send(fds[i], call, sizeof(call),
				MSG_DONTWAIT | MSG_NOSIGNAL) == -1 &&
			    errno != EAGAIN)
				err(1, "send");
			drain(fds[i]);
		}
		usleep(200);
	}
}

static void
udp(int count)
{
	struct sockaddr_in own = loopback(0), to = loopback(111);
	socklen_t len = sizeof(own);
	const int yes = 1;
	int fd = -1;

	for (int i = 0; i < count; i++) {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		if (bind(fd, (void *)&own, sizeof(own)) == -1)
			err(1, "bind");
		getsockname(fd, (void *)&own, &len);
	}
	ready();
	for (;;) {
		for (int i = 0; i < 32; i++)
			sendto(fd, call + 1, sizeof(call) - 4, MSG_DONTWAIT,
			    (void *)&to, sizeof(to));
		usleep(1000);
	}
}

/* Call from ports that the sockets have not had yet, and read what comes. */
static void
call_from_new_ports(const int *fds, int count, const struct sockaddr *to,
    socklen_t len, const void *bytes, size_t size)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	ready();
	for (;;) {
		for (int i = 0; i < count; i++) {
			drain(fds[i]);
			connect(fds[i], &none, sizeof(none));
			sendto(fds[i], bytes, size, MSG_DONTWAIT, to, len);
		}
		usleep((useconds_t)count * 3000);
	}
}

static void
open_service(in_port_t port)
{
	static struct sock_filter code[4096];
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
	struct sockaddr_in own = {
	    .sin_family = AF_INET, .sin_port = htons(port)};
	int service = socket(AF_INET, SOCK_DGRAM, 0);
	size_t n = 0;

	/* search the arguments for a netlink attribute, again and again */
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_IMM, 0x3ffe);
	while (n + 3 <= program.len) {
		code[n++] = (struct sock_filter)BPF_STMT(
		    BPF_LD | BPF_IMM, 8 + 40); /* behind UDP's and RPC's head */
		code[n++] = (struct sock_filter)BPF_STMT(
		    BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_NLATTR);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	program.len = (unsigned short)n;
	if (bind(service, (void *)&own, sizeof(own)) == -1 ||
	    setsockopt(service, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		sizeof(program)) == -1)
		err(1, "service");
}

static void
filter(in_port_t port)
{
	static uint32_t args[14 + ARGS_LEN / 4];
	const uint32_t head[] = {
	    1, 0, 2, 100000, 2, 5, 0, 0, 0, 0, PROG, 1, 0, ARGS_LEN};
	struct sockaddr_in to = loopback(111);
	size_t n;
	int fd;

	open_service(port);
	for (n = 0; n < sizeof(head) / sizeof(*head); n++)
		args[n] = htonl(head[n]);
	for (; n < sizeof(head) / sizeof(*head) + ARGS_LEN / 4; n++)
		args[n] = 4 | 5 << 16; /* an attribute without contents */
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	call_from_new_ports(
	    &fd, 1, (void *)&to, sizeof(to), args, n * sizeof(*args));
}

static void
watch_by_epoll(const int *fds, int count, int watchers)
{
	for (int n = 0; n < watchers; n++) {
		int epoll = epoll_create1(0);
		struct epoll_event event = {
		    .events = EPOLLIN | EPOLLOUT | EPOLLET};

		if (epoll == -1)
			err(1, "epoll_create1");
		for (int i = 0; i < count; i++)
			if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) ==
			    -1)
				err(1, "epoll_ctl");
	}
}

/* Have a group of processes own the connections. */
static void
own_by_group(const int *fds, int count, int members)
{
	pid_t group = 0;

	signal(SIGIO, SIG_IGN);
	for (int n = 0; n < members; n++) {
		pid_t pid = fork();

		if (pid == -1)
			err(1, "fork");
		if (pid == 0) {
			setpgid(0, group);
			for (;;)
				pause();
		}
		if (group == 0)
			group = pid;
		setpgid(pid, group);
	}
	for (int i = 0; i < count; i++)
		if (fcntl(fds[i], F_SETOWN, -group) == -1 ||
		    fcntl(fds[i], F_SETFL, O_ASYNC) == -1)
			err(1, "fcntl");
}

static void
relay(int watchers, in_port_t port)
{
	const uint32_t words[] = {
	    1, 0, 2, 100000, 2, 5, 0, 0, 0, 0, PROG, 1, 0, 0};
	struct sockaddr_in own = loopback(port), to = loopback(111), from;
	int service = socket(AF_INET, SOCK_DGRAM, 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint32_t callit[14], bytes[64];
	socklen_t len;

	if (bind(service, (void *)&own, sizeof(own)) == -1)
		err(1, "bind");
	watch_by_epoll(&fd, 1, watchers);
	for (int i = 0; i < 14; i++)
		callit[i] = htonl(words[i]);
	ready();
	for (;;) {
		sendto(fd, callit, sizeof(callit), MSG_DONTWAIT, (void *)&to,
		    sizeof(to));
		usleep(2000);
		len = sizeof(from);
		while (recvfrom(service, bytes, sizeof(bytes), MSG_DONTWAIT,
			   (void *)&from, &len) > 0) {
			memset(bytes + 1, 0, 5 * sizeof(*bytes));
			bytes[1] = htonl(1); /* a reply, and a success */
			sendto(service, bytes, 6 * sizeof(*bytes), MSG_DONTWAIT,
			    (void *)&from, len);
		}
		drain(fd);
	}
}

static void
udp6(int *fds, int count, int watchers)
{
	const struct sockaddr_in6 to = {.sin6_family = AF_INET6,
	    .sin6_port = htons(111),
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	for (int i = 0; i < count; i++)
		if ((fds[i] = socket(AF_INET6, SOCK_DGRAM, 0)) == -1)
			err(1, "socket");
	watch_by_epoll(fds, count, watchers);
	call_from_new_ports(fds, count, (const void *)&to, sizeof(to), call + 1,
	    sizeof(call) - 4);
}

int
main(int argc, char *argv[])
{
	const uint32_t words[11] = {0x80000028, 1, 0, 2, 100000, 2};
	struct rlimit files;
	int count, watchers, *fds;

	if (argc < 3)
		errx(2,
		    "usage: slow udp|epoll|tcp|owner|udp6|filter|service|relay "
		    "N [M]");
	for (int i = 0; i < 11; i++)
		call[i] = htonl(words[i]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	watchers = atoi(argv[2]);
	if (strcmp(argv[1], "udp") == 0)
		udp(watchers);
	if (strcmp(argv[1], "filter") == 0)
		filter((in_port_t)atoi(argv[2]));
	if (strcmp(argv[1], "service") == 0) {
		open_service((in_port_t)atoi(argv[2]));
		ready();
		for (;;)
			pause();
	}
	count = argc > 3 ? atoi(argv[3]) : 1;
	if (strcmp(argv[1], "relay") == 0)
		relay(watchers, (in_port_t)count);
	if ((fds = calloc((size_t)count, sizeof(*fds))) == NULL)
		err(1, "calloc");
	if (strcmp(argv[1], "udp6") == 0)
		udp6(fds, count, watchers);
	for (int i = 0; i < count; i++)
		fds[i] = connect_to(strcmp(argv[1], "tcp") == 0);
	if (strcmp(argv[1], "owner") == 0)
		own_by_group(fds, count, watchers);
	else
		watch_by_epoll(fds, count, watchers);
	call_on(fds, count);
}
