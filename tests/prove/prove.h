/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the harnesses share.  A harness is a function prove() that calls one
 * function of src/ for all inputs within a bound, which CBMC explores.
 */
#ifndef PROVE_H
#define PROVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

/* Functions without a body that return any value of their type. */
bool nondet_bool(void);
char nondet_char(void);
int nondet_int(void);
int64_t nondet_int64(void);
size_t nondet_size(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);

#define ASSUME(what) __CPROVER_assume(what)
#define PROVE(what) __CPROVER_assert(what, #what)

/*
 * A place that some input must reach: the assertion fails there, and the driver
 * reports a place where it holds.
 */
#ifdef MUTANT
#define REACHED(what) ((void)0)
#else
#define REACHED(what) __CPROVER_assert(0, "reached: " what)
#endif

/* Any number from `min` to `max`. */
static inline size_t
any_size(size_t min, size_t max)
{
	size_t n = nondet_size();

	ASSUME(n >= min && n <= max);
	return (n);
}

/* `n` bytes of any value, which the caller frees. */
static inline void *
any_bytes(size_t n)
{
	void *p = malloc(n);

	ASSUME(p != NULL);
	return (p);
}

/* Any text of at most `max` characters, which the caller frees. */
static inline char *
any_text(size_t max)
{
	char *text = any_bytes(max + 1);

	text[max] = '\0';
	return (text);
}

/* Make the object any value of its type. */
#define HAVOC(p) __CPROVER_havoc_object(p)

#endif
