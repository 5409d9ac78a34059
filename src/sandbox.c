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
	const struct condition *only; /* NULL if it is always allowed */
};

static const struct rule rules[] = {
    /* the loop and its clock */
    {SYS_pselect6, NULL},
#ifdef SYS_select
    {SYS_select, NULL},
#endif
#ifdef SYS__newselect
    {SYS__newselect, NULL},
#endif
    {SYS_ppoll, NULL},
    {SYS_clock_gettime, NULL},
    {SYS_gettimeofday, NULL},
    {SYS_restart_syscall, NULL}, /* a poll() that was stopped */

    /* signals come by signalfd(2); SIGSYS is ours */
    {SYS_read, NULL},
    {SYS_rt_sigreturn, NULL},
    {SYS_rt_sigprocmask, NULL}, /* fork() and abort() */

    /* calls and replies, over UDP and over connections */
    {SYS_recvmmsg, NULL},
    {SYS_sendmmsg, NULL},
    {SYS_sendmsg, NULL},
    {SYS_recvmsg, NULL},
    {SYS_recvfrom, NULL},
    {SYS_sendto, NULL},
#ifdef SYS_recv
    {SYS_recv, NULL},
    {SYS_send, NULL},
#endif
    {SYS_accept4, NULL},
    {SYS_getsockopt, NULL},
    {SYS_setsockopt, NULL},
    {SYS_shutdown, NULL},
    {SYS_close, NULL},
    {SYS_pread64, NULL}, /* ip_unprivileged_port_start */

    /* the log, and the pid file at the end */
    {SYS_write, NULL},
    {SYS_fstat, NULL},
#ifdef SYS_newfstatat
    {SYS_newfstatat, NULL},
#endif
    {SYS_ftruncate, NULL},

    /* sockets of CALLIT, of getifaddrs(3) and of the log, but not of TCP */
    {SYS_socket, is_unix},
    {SYS_socket, is_netlink},
    {SYS_socket, is_udp},
/* glibc calls nothing else where it exists; a filter cannot see the
   arguments, which are in memory */
#ifdef SYS_socketcall
    {SYS_socketcall, NULL},
#endif
    {SYS_connect, NULL},
    {SYS_getsockname, NULL},
    {SYS_getrandom, NULL},
    /* the abstract name, when it is free again */
    {SYS_bind, NULL},
    {SYS_listen, NULL},
    {SYS_umask, NULL},
    {SYS_getpid, NULL}, /* each line of syslog has it */

    /* memory, but not to execute */
    {SYS_brk, NULL},
#ifdef __s390x__ /* its arguments are in memory */
    {SYS_mmap, NULL},
#elif !defined(SYS_mmap2)
    {SYS_mmap, not_executable},
#endif
    {SYS_mprotect, not_executable},
    {SYS_munmap, NULL},
    {SYS_mremap, NULL},
    {SYS_madvise, NULL},
    {SYS_futex, NULL},

    {SYS_exit_group, NULL},

    /* children that end with what they close */
    {SYS_clone, NULL},
    {SYS_wait4, NULL},
    {SYS_pipe2, NULL},
    {SYS_set_robust_list, NULL},
    {SYS_gettid, NULL},
#ifdef SYS_close_range
    {SYS_close_range, NULL},
#endif
#ifdef SYS_rseq
    {SYS_rseq, NULL},
#endif

#ifdef SYS_open /* older names of the same, which newer architectures lack */
    {SYS_poll, NULL},
    {SYS_fork, NULL},
#endif
#ifdef SYS_clock_gettime64 /* the same with times of 64 bits */
    {SYS_clock_gettime64, NULL},
    {SYS_pselect6_time64, NULL},
    {SYS_ppoll_time64, NULL},
    {SYS_recvmmsg_time64, NULL},
    {SYS_futex_time64, NULL},
    {SYS_statx, NULL}, /* fstat() with times of 64 bits */
#endif
#ifdef SYS_fcntl64 /* the same with sizes of 64 bits */
    {SYS_fstat64, NULL},
    {SYS_fstatat64, NULL},
    {SYS_ftruncate64, NULL},
    {SYS_mmap2, not_executable},
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
limit_calls(void)
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
		n += add_rule(code + n, &rules[i]);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, denied);
	program.len = (unsigned short)n;
	return (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}
#else
static bool
limit_calls(void)
{
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
	calls_limited = limit_calls();
	if (!calls_limited)
		log_warning(
		    "sandbox: cannot limit system calls: %s", strerror(errno));
}
