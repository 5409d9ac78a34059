/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library for LD_PRELOAD: at SIGRTMIN it tries in the daemon what an attacker
 * would try who runs code there, and writes a line for each attempt.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static int tcp; /* a socket from before the sandbox */

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

static long
map_code(void)
{
	return (mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		    ? -1
		    : 0);
}

static long
connect_tcp(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(111),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return (connect(tcp, (struct sockaddr *)&to, sizeof(to)));
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
	attempt("code", map_code());
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
	tcp = socket(AF_INET, SOCK_STREAM, 0);
}
