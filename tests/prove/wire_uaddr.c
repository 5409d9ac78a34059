/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_uaddr() returns the port of exactly the texts of six numbers from 0 to
 * 255, without leading zeros, that dots separate; -1 for all others.
 *
 * Bound: texts of up to 24 characters with at most four digits in a row; a
 * universal address has at most 23 and three.
 * Run: src/wire.c --unwind 26 --unwindset decimal_parse.0:5
 */
#include "prove.h"
#include "wire.h"

enum {
	TEXT_MAX = 24,
	DIGITS_MAX = 4
};

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

/* Parse a number of one to three digits, and return what follows it. */
static const char *
spec_octet(const char *p, int32_t *octet)
{
	if (!is_digit(*p))
		return (NULL);
	*octet = *p++ - '0';
	if (*octet == 0)
		return (p);
	if (is_digit(*p))
		*octet = *octet * 10 + *p++ - '0';
	if (is_digit(*p))
		*octet = *octet * 10 + *p++ - '0';
	return (*octet > 255 ? NULL : p);
}

static int32_t
spec(const char *p)
{
	int32_t octets[6];

	for (size_t i = 0; i < 6; i++) {
		p = spec_octet(p, &octets[i]);
		if (p == NULL || *p != (i < 5 ? '.' : '\0'))
			return (-1);
		p++;
	}
	return (octets[4] << 8 | octets[5]);
}

void
prove(void)
{
	char text[TEXT_MAX + 1];
	size_t digits = 0;
	int32_t port;

	text[TEXT_MAX] = '\0';
	for (size_t i = 0; i < TEXT_MAX; i++) {
		digits = is_digit(text[i]) ? digits + 1 : 0;
		ASSUME(digits <= DIGITS_MAX);
	}
	port = wire_uaddr(text);
	PROVE(port == spec(text));
	PROVE(port >= -1 && port <= 65535);
	if (port == 65535)
		REACHED("the last port");
	if (port == -1)
		REACHED("no universal address");
}
