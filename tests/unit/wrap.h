/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WRAP_H
#define WRAP_H

/* What every unit test includes: cmocka, and calls that fail on demand. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/*
 * Let the `nth` call of `function` from now (1: the next) fail with `error`,
 * and every one after it until wrap_reset().  The function is one of those
 * that the Makefile names in WRAPPED.
 */
void wrap_fail(const char *function, int nth, int error);

/* Let calls of prctl() or syscall() with this first argument fail. */
void wrap_fail_value(const char *function, long value, int error);

/* Let the next call of `function` fail, and no other one. */
void wrap_fail_once(const char *function, int error);
void wrap_reset(void);

/* Return how many blocks of memory our own code has now. */
long wrap_allocated(void);

/* A cmocka teardown: nothing fails any more. */
int wrap_teardown(void **state);

/* Skip a test where the loopback interface is down, as in `unshare -n`. */
void need_loopback(void);

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#endif
