/* SPDX-License-Identifier: BSD-2-Clause */
/* Unsigned decimal numbers, without sign, white space or leading zeros. */
#ifndef DECIMAL_H
#define DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Parse the digits at *text.  Store the number in *value, advance *text past
 * the last digit, and return true.  Return false if there is no number, or if
 * it is greater than `max`.
 */
static inline bool
decimal_parse(const char **text, uint32_t max, uint32_t *value)
{
	const char *p = *text;
	uint64_t n = 0;

	while (*p >= '0' && *p <= '9' && n <= max)
		n = n * 10 + (uint64_t)(*p++ - '0');
	if (p == *text || (**text == '0' && p - *text > 1) || n > max)
		return (false);
	*text = p;
	*value = (uint32_t)n;
	return (true);
}

/* Parse a text that is one number and nothing else, as decimal_parse(). */
static inline bool
decimal_parse_all(const char *text, uint32_t max, uint32_t *value)
{
	return (decimal_parse(&text, max, value) && *text == '\0');
}

#endif
