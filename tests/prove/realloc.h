/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A realloc() that fails at any time, or returns a new buffer with any bytes in
 * it, for harnesses that prove lengths and not contents.
 */
#ifndef PROVE_REALLOC_H
#define PROVE_REALLOC_H

#include "prove.h"

void *
realloc(void *old, size_t n)
{
	void *p;

	PROVE(n > 0);
	if (nondet_bool() || (p = malloc(n)) == NULL)
		return (NULL);
	free(old);
	return (p);
}

#endif
