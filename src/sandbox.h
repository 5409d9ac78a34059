/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

/*
 * What a process may still ask of the kernel once it has started, should an
 * attacker ever run code in it: seccomp(2) and landlock(7).  It cannot start
 * programs, open TCP connections, or open files.
 */

/*
 * Restrict the daemon, after priv_drop().  What the kernel does not have is
 * left out.
 */
void sandbox_enter(void);

/* Leave out all of it: call this before sandbox_enter(). */
void sandbox_disable(void);

/* Return which parts are active, as in `sandbox=`. */
const char *sandbox_parts(void);

#endif
