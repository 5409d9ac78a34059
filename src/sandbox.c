/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A denied system call fails with ENOSYS, so that libc tries an older one or
 * returns an error.  Where we know the register of the result, the kernel sends
 * SIGSYS instead, whose handler sets it and counts.
 */
#include "sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "landlock.h"
#include "log.h"

/* The architecture, as seccomp names it, and the result of a system call. */
#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_EAX])
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#elif defined(__arm__)
#define ARCH AUDIT_ARCH_ARM
#define RESULT(context) ((context)->uc_mcontext.arm_r0)
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define ARCH AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#endif

#define LOW_WORD (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0)
/* of the type of a socket; the rest is SOCK_NONBLOCK and SOCK_CLOEXEC */
#define TYPE_MASK 0xfu

enum who {
	DAEMON = 1,
	HELPER = 2,
	BOTH = DAEMON | HELPER
};

/* What an argument of a call must be: `(argument & mask) == value`. */
struct condition {
	unsigned argument;
	uint32_t mask; /* 0 stands for no condition */
	uint32_t value;
};

#define CONDITIONS 2
typedef const struct condition conditions[CONDITIONS];
static conditions not_executable = {{2, PROT_EXEC, 0}};
static conditions is_unix = {{0, ~0u, AF_UNIX}};
static conditions is_netlink = {{0, ~0u, AF_NETLINK}};
static conditions is_udp = {{0, ~0u, AF_INET}, {1, TYPE_MASK, SOCK_DGRAM}};

struct rule {
	int call;
	enum who who;
	const struct condition *only; /* NULL if it is always allowed */
};

static const struct rule rules[] = {
    /* the loop and its clock */
    {SYS_pselect6, DAEMON, NULL},
#ifdef SYS_select
    {SYS_select, DAEMON, NULL},
#endif
#ifdef SYS__newselect
    {SYS__newselect, DAEMON, NULL},
#endif
    {SYS_ppoll, BOTH, NULL},
    {SYS_clock_gettime, DAEMON, NULL},
    {SYS_gettimeofday, DAEMON, NULL},
    {SYS_restart_syscall, BOTH, NULL}, /* a poll() that was stopped */

    /* signals come by signalfd(2); SIGSYS is ours */
    {SYS_read, BOTH, NULL},
    {SYS_rt_sigreturn, BOTH, NULL},
    {SYS_rt_sigprocmask, BOTH, NULL}, /* fork() and abort() */

    /* calls and replies, over UDP and over connections */
    {SYS_recvmmsg, DAEMON, NULL},
    {SYS_sendmmsg, DAEMON, NULL},
    {SYS_sendmsg, DAEMON, NULL},
    {SYS_recvmsg, BOTH, NULL},
    {SYS_recvfrom, DAEMON, NULL},
    {SYS_sendto, DAEMON, NULL},
#ifdef SYS_recv
    {SYS_recv, DAEMON, NULL},
    {SYS_send, DAEMON, NULL},
#endif
    {SYS_accept4, DAEMON, NULL},
    {SYS_getsockopt, DAEMON, NULL},
    {SYS_setsockopt, DAEMON, NULL},
    {SYS_shutdown, DAEMON, NULL},
    {SYS_close, BOTH, NULL},
    {SYS_pread64, DAEMON, NULL}, /* ip_unprivileged_port_start */

    /* the log, and the pid file at the end */
    {SYS_write, DAEMON, NULL},
    {SYS_fstat, DAEMON, NULL},
#ifdef SYS_newfstatat
    {SYS_newfstatat, DAEMON, NULL},
#endif
    {SYS_ftruncate, DAEMON, NULL},

    /* sockets of CALLIT, of getifaddrs(3) and of the log, but not of TCP */
    {SYS_socket, DAEMON, is_unix},
    {SYS_socket, DAEMON, is_netlink},
    {SYS_socket, DAEMON, is_udp},
/* glibc calls nothing else where it exists; a filter cannot see the
   arguments, which are in memory */
#ifdef SYS_socketcall
    {SYS_socketcall, BOTH, NULL},
#endif
    {SYS_connect, DAEMON, NULL},
    {SYS_getsockname, DAEMON, NULL},
    {SYS_getrandom, DAEMON, NULL},
    /* the abstract name, when it is free again */
    {SYS_bind, DAEMON, NULL},
    {SYS_listen, DAEMON, NULL},
    {SYS_umask, DAEMON, NULL},
    {SYS_getpid, DAEMON, NULL}, /* each line of syslog has it */

    /* memory, but not to execute */
    {SYS_brk, BOTH, NULL},
#ifdef __s390x__ /* its arguments are in memory */
    {SYS_mmap, BOTH, NULL},
#elif !defined(SYS_mmap2)
    {SYS_mmap, BOTH, not_executable},
#endif
    {SYS_mprotect, BOTH, not_executable},
    {SYS_munmap, BOTH, NULL},
    {SYS_mremap, BOTH, NULL},
    {SYS_madvise, BOTH, NULL},
    {SYS_futex, BOTH, NULL},

    {SYS_exit_group, BOTH, NULL},

    /* a helper forks, and its children end with what they close */
    {SYS_clone, HELPER, NULL},
    {SYS_wait4, HELPER, NULL},
    {SYS_pipe2, HELPER, NULL},
    {SYS_set_robust_list, HELPER, NULL},
    {SYS_gettid, HELPER, NULL},
#ifdef SYS_rseq
    {SYS_rseq, HELPER, NULL},
#endif

#ifdef SYS_open /* older names of the same, which newer architectures lack */
    {SYS_poll, BOTH, NULL},
    {SYS_pipe, HELPER, NULL},
    {SYS_fork, HELPER, NULL},
#endif
#ifdef SYS_clock_gettime64 /* the same with times of 64 bits */
    {SYS_clock_gettime64, DAEMON, NULL},
    {SYS_pselect6_time64, DAEMON, NULL},
    {SYS_ppoll_time64, BOTH, NULL},
    {SYS_recvmmsg_time64, DAEMON, NULL},
    {SYS_futex_time64, BOTH, NULL},
#endif
#ifdef SYS_fcntl64 /* the same with sizes of 64 bits */
    {SYS_fstat64, DAEMON, NULL},
    {SYS_fstatat64, DAEMON, NULL},
    {SYS_ftruncate64, DAEMON, NULL},
    {SYS_mmap2, BOTH, not_executable},
#endif
};

static bool disabled, calls_limited, files_limited;
static volatile sig_atomic_t first_denied = -1;

void
sandbox_disable(void)
{
	disabled = true;
}

const char *
sandbox_parts(void)
{
	if (!calls_limited)
		return (files_limited ? "landlock" : "none");
	return (files_limited ? "seccomp,landlock" : "seccomp");
}

int64_t
sandbox_tick(int64_t now)
{
	static bool logged;

	(void)now;
	if (first_denied != -1 && !logged) {
		logged = true;
		log_warning("sandbox: system call %d was denied: a bug of "
			    "portmap, or an attack; -S turns the sandbox off",
		    (int)first_denied);
	}
	return (INT64_MAX);
}

/*
 * System calls: seccomp(2).
 */

#ifdef ARCH
#ifdef RESULT
static void
on_denied(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	counters.denied++;
	if (first_denied == -1)
		first_denied = info->si_syscall;
	RESULT((ucontext_t *)context) = -ENOSYS;
}
#endif

/* Handle denied calls.  Return what the filter returns for them. */
static uint32_t
handle_denied(void)
{
#ifdef RESULT
	struct sigaction action = {.sa_flags = SA_SIGINFO};
	sigset_t sigsys;

	action.sa_sigaction = on_denied;
	sigemptyset(&sigsys);
	sigaddset(&sigsys, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL) == 0 &&
	    sigprocmask(SIG_UNBLOCK, &sigsys, NULL) == 0)
		return (SECCOMP_RET_TRAP);
#endif
	return (SECCOMP_RET_ERRNO | ENOSYS);
}

enum {
	PER_CONDITION = 3,
	PER_RULE = 3 + CONDITIONS * PER_CONDITION,
	PROGRAM_MAX = 4 + PER_RULE * sizeof(rules) / sizeof(*rules)
};
_Static_assert(PROGRAM_MAX <= BPF_MAXINSNS, "a filter that the kernel takes");

static const struct sock_filter allow =
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

/*
 * Append the instructions that allow what a rule allows; what does not match
 * jumps behind them.  Return their number.
 */
static size_t
add_rule(struct sock_filter *code, const struct rule *r)
{
	size_t count = 0, n = 0;

	while (
	    r->only != NULL && count < CONDITIONS && r->only[count].mask != 0)
		count++;
	code[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
	    (uint32_t)r->call, 0, (uint8_t)(PER_CONDITION * count + 1));
	for (size_t i = 0; i < count; i++) {
		const struct condition *c = &r->only[i];
		uint8_t behind = (uint8_t)(PER_CONDITION * (count - i - 1) + 1);

		code[n++] =
		    (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			(uint32_t)(offsetof(struct seccomp_data, args) +
				   c->argument * sizeof(uint64_t) + LOW_WORD));
		code[n++] = (struct sock_filter)BPF_STMT(
		    BPF_ALU | BPF_AND | BPF_K, c->mask);
		code[n++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, c->value, 0, behind);
	}
	code[n++] = allow;
	return (n);
}

static bool
limit_calls(enum who who)
{
	const uint32_t denied = handle_denied();
	const struct sock_filter head[] = {
	    BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	struct sock_filter code[PROGRAM_MAX];
	struct sock_fprog program = {.filter = code};
	size_t n = sizeof(head) / sizeof(*head);

	memcpy(code, head, sizeof(head));
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if ((rules[i].who & who) != 0)
			n += add_rule(code + n, &rules[i]);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, denied);
	program.len = (unsigned short)n;
	return (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}
#else
static bool
limit_calls(enum who who)
{
	(void)who;
	errno = ENOSYS;
	return (false);
}
#endif

void
sandbox_enter(void)
{
	if (disabled)
		return;
	files_limited = landlock_limit();
	calls_limited = limit_calls(DAEMON);
	if (!calls_limited)
		log_warning(
		    "sandbox: cannot limit system calls: %s", strerror(errno));
}

void
sandbox_enter_helper(void)
{
	if (disabled)
		return;
	landlock_limit();
	limit_calls(HELPER);
}
