/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library for LD_PRELOAD: at SIGRTMIN it tries in the daemon what an attacker
 * would try who runs code there, and writes a line for each attempt.  With
 * NO_LANDLOCK in the environment, the kernel has no landlock(7).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netlink.h>

static int tcp; /* a socket from before the sandbox */

long
syscall(long number, ...)
{
	static long (*next)(long, ...);
	long a[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_landlock_create_ruleset &&
	    getenv("NO_LANDLOCK") != NULL) {
		errno = ENOSYS;
		return (-1);
	}
	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	return (next(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static void
attempt(const char *what, long result)
{
	char line[128];
	int n =
	    snprintf(line, sizeof(line), "portmap: intruder what=%s errno=%d\n",
		what, result == -1 ? errno : 0);

	(void)!write(STDERR_FILENO, line, (size_t)n);
	errno = 0;
}

static void *
map(int protection)
{
	return (
	    mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static struct sockaddr_in port_mapper = {.sin_family = AF_INET};

static long
connect_tcp(void)
{
	return (
	    connect(tcp, (struct sockaddr *)&port_mapper, sizeof(port_mapper)));
}

/* Make of the listener on port 111 a socket that can connect to others. */
static long
disconnect_listener(void)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	for (int fd = 0; fd < 64; fd++) {
		int domain = 0, listens = 0;
		socklen_t size = sizeof(int), len = sizeof(int);

		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
		if (domain == AF_INET && listens)
			return (connect(fd, &none, sizeof(none)));
	}
	errno = 0;
	return (-1);
}

static long
send_and_connect(bool by_sendmsg)
{
	struct msghdr msg = {
	    .msg_name = &port_mapper, .msg_namelen = sizeof(port_mapper)};

	if (by_sendmsg)
		return (sendmsg(tcp, &msg, MSG_FASTOPEN));
	return (sendto(tcp, "", 1, MSG_FASTOPEN,
	    (struct sockaddr *)&port_mapper, sizeof(port_mapper)));
}

static long
send_many_and_connect(void)
{
	struct mmsghdr msg = {.msg_hdr = {.msg_name = &port_mapper,
				  .msg_namelen = sizeof(port_mapper)}};

	return (sendmmsg(tcp, &msg, 1, MSG_FASTOPEN));
}

static long
connect_abstract(void)
{
	struct sockaddr_un to = {
	    .sun_family = AF_UNIX, .sun_path = "\0intruder"};

	return (connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to,
	    (socklen_t)(sizeof(to.sun_family) + 9)));
}

static void
on_signal(int sig, siginfo_t *info, void *context)
{
	char *const arguments[] = {"true", NULL};

	(void)sig;
	(void)info;
	(void)context;
	attempt("execve", syscall(SYS_execve, "/bin/true", arguments, NULL));
	attempt("ptrace", syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
	attempt("kill", kill(1, 0));
	attempt("ipv6", socket(AF_INET6, SOCK_DGRAM, 0));
	attempt("tcp", socket(AF_INET, SOCK_STREAM, 0));
	attempt("raw", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
	attempt("icmp", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	attempt("udplite", socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
	attempt("packet", socket(AF_PACKET, SOCK_DGRAM, 0));
	attempt("uevent", socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
	attempt("generic", socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC));
	attempt("sendto", send_and_connect(false));
	attempt("sendmsg", send_and_connect(true));
	attempt("sendmmsg", send_many_and_connect());
	attempt("listener", disconnect_listener());
	attempt("clone", syscall(SYS_clone, CLONE_NEWUSER, 0, 0, 0, 0));
	attempt("unshare", unshare(CLONE_NEWUSER));
	attempt("code", map(PROT_READ | PROT_EXEC) == MAP_FAILED ? -1 : 0);
	attempt("mprotect", mprotect(map(PROT_READ), 4096, PROT_EXEC));
	attempt("connect", connect_tcp());
	attempt("abstract", connect_abstract());
	attempt("write", open("/run/intruder", O_CREAT | O_WRONLY, 0600));
	attempt("read", open("/etc/passwd", O_RDONLY));
	attempt("udp", socket(AF_INET, SOCK_DGRAM, 0));
}

static void __attribute__((constructor)) prepare(void)
{
	/* SA_SIGINFO: it returns by rt_sigreturn(2), which is allowed */
	struct sigaction action = {.sa_flags = SA_SIGINFO};

	action.sa_sigaction = on_signal;
	sigaction(SIGRTMIN, &action, NULL);
	port_mapper.sin_port = htons(111);
	port_mapper.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
}
