/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library for LD_PRELOAD: a system call that the daemon's sandbox denies ends
 * it, so that the test fails, where otherwise libc would try another call.
 */
#include <dlfcn.h>
#include <stdint.h>

#include <linux/seccomp.h>

void *seccomp_init(uint32_t action);

void *
seccomp_init(uint32_t action)
{
	void *(*init)(uint32_t);

	(void)action;
	*(void **)&init = dlsym(RTLD_NEXT, "seccomp_init");
	return (init(SECCOMP_RET_KILL_PROCESS));
}
