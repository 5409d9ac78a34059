/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A memcpy() for buffers of thousands of bytes.  It checks and notes both
 * ranges.  It copies one word; in place of more or fewer bytes, it leaves what
 * is there, so a harness must fill the destination with any bytes before.  With
 * LOCAL_WORDS it copies words to variables only, not to the heap.
 */
#ifndef PROVE_MEMCPY_H
#define PROVE_MEMCPY_H

#include "prove.h"

/* The ranges of the last copy. */
static struct {
	const void *to;
	const void *from;
	size_t n;
} copied;

void *
memcpy(void *to, const void *from, size_t n)
{
	uint8_t *out = to;
	const uint8_t *in = from;

	__CPROVER_assert(__CPROVER_r_ok(from, n), "memcpy: readable");
	__CPROVER_assert(__CPROVER_w_ok(to, n), "memcpy: writable");
	__CPROVER_assert(
	    !__CPROVER_same_object(to, from) || out + n <= in || in + n <= out,
	    "memcpy: no overlap");
	copied.to = to;
	copied.from = from;
	copied.n = n;
#ifdef LOCAL_WORDS
	if (__CPROVER_DYNAMIC_OBJECT(to))
		return (to);
#endif
	if (n == 4) {
		out[0] = in[0];
		out[1] = in[1];
		out[2] = in[2];
		out[3] = in[3];
	}
	return (to);
}

#endif
