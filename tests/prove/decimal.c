/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decimal_parse() accepts exactly the digits at the start of a text, if they
 * have no leading zero and their number is at most the maximum.  It returns the
 * number and what follows it, or changes nothing.  decimal_parse_all() accepts
 * only texts that are such a number and nothing else.
 *
 * Bound: texts of up to 11 characters and the maxima 32, 255 and 65535.  With
 * UINT32_MAX, all texts of up to 5 characters, and those of up to 11 whose
 * first six digits are those of UINT32_MAX; for all, a minute is too short.
 * Run: --unwind 13
 */
#include "prove.h"
#include "decimal.h"

#include <string.h>

enum {
	TEXT_MAX = 11, /* a digit more than UINT32_MAX has */
	SHORT_MAX = 5,
	PREFIX = 6
};

static void
prove_text(const char *text, uint32_t max)
{
	const char *p = text;
	uint32_t before = nondet_u32(), value = before, all;
	uint64_t number = 0;
	size_t digits = 0;
	bool good;

	/* more digits do not make a number smaller */
	for (; text[digits] >= '0' && text[digits] <= '9'; digits++)
		if (number <= max)
			number = number * 10 + (uint64_t)(text[digits] - '0');
	good = digits > 0 && (text[0] != '0' || digits == 1) && number <= max;

	PROVE(decimal_parse(&p, max, &value) == good);
	PROVE(p == text + (good ? digits : 0));
	PROVE(value == (good ? number : before));
	if (good && text[digits] == ' ')
		REACHED("a number before a space");

	good = good && text[digits] == '\0';
	PROVE(decimal_parse_all(text, max, &all) == good);
	PROVE(!good || all == number);
	if (good && number == max)
		REACHED("the maximum");
	if (number == (uint64_t)max + 1)
		REACHED("a number that is too large");
	if (good && number == UINT32_MAX)
		REACHED("the largest number of 32 bits");
}

void
prove(void)
{
	char text[TEXT_MAX + 1];

	text[TEXT_MAX] = '\0';
	/* constants keep the numbers simple for CBMC */
	if (nondet_bool()) {
		prove_text(text, 32);
	} else if (nondet_bool()) {
		prove_text(text, UINT8_MAX);
	} else if (nondet_bool()) {
		prove_text(text, UINT16_MAX);
	} else if (nondet_bool()) {
		text[SHORT_MAX] = '\0';
		prove_text(text, UINT32_MAX);
	} else {
		memcpy(text, "429496", PREFIX);
		prove_text(text, UINT32_MAX);
	}
}
