/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stdbool.h>

/*
 * Deny this process, by landlock(7), all files that it has not open; to bind
 * and connect TCP sockets; to connect to abstract names of other processes, and
 * to signal them.  What the kernel does not have is left out.  Return false if
 * nothing is denied.
 */
bool landlock_limit(void);

#endif
