/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser of a line of the journal accepts exactly the two forms of
 * journal.h: numbers with the right maxima, one space between them, and nothing
 * else.  decimal_parse() is a model here.
 *
 * Bound: lines of up to 52 characters; the longest that is accepted has 46.
 * Run: --unwind 12
 */
#define DECIMAL_H /* the model takes its place */
#include <string.h>

#include "prove.h"

enum {
	TEXT_MAX = 52,
	NUMBERS = 5
};

static const char *starts[NUMBERS], *ends[NUMBERS];
static uint32_t maxima[NUMBERS], values[NUMBERS];
static size_t used;
static bool failed;

/* Take one to ten digits, which mean any number up to `max`; or fail. */
static bool
decimal_parse(const char **text, uint32_t max, uint32_t *value)
{
	size_t digits = any_size(1, 10);

	PROVE(used < NUMBERS && !failed);
	failed = nondet_bool();
	if (failed)
		return (false);
	for (size_t i = 0; i < 10; i++)
		ASSUME(i >= digits || ((*text)[i] >= '0' && (*text)[i] <= '9'));
	*value = nondet_u32();
	ASSUME(*value <= max);
	starts[used] = *text;
	*text += digits;
	ends[used] = *text;
	maxima[used] = max;
	values[used++] = *value;
	return (true);
}

#include "../../src/journal_read.c"

/* Return true if the first `n` numbers follow each other from `p` on. */
static bool
are_in_row(const char *p, size_t n)
{
	static const uint32_t max[NUMBERS] = {
	    UINT32_MAX, UINT32_MAX, 255, 65535, UINT32_MAX - 1};

	if (used < n)
		return (false);
	for (size_t i = 0; i < NUMBERS; i++) {
		if (i == n)
			break;
		if (starts[i] != p || maxima[i] != max[i])
			return (false);
		p = ends[i] + 1;
		if (i + 1 < n && *ends[i] != ' ')
			return (false);
	}
	return (true);
}

static bool
spec_set(const char *line)
{
	const char *last = ends[3];

	if (line[0] != 's' || line[1] != 'e' || line[2] != 't' ||
	    line[3] != ' ' || !are_in_row(line + 4, 4) || *last != ' ')
		return (false);
	if (last[1] == '-' && last[2] == '\0')
		return (used == 4);
	return (are_in_row(line + 4, 5) && *ends[4] == '\0');
}

static bool
spec_unset(const char *line)
{
	return (line[0] == 'u' && line[1] == 'n' && line[2] == 's' &&
		line[3] == 'e' && line[4] == 't' && line[5] == ' ' &&
		are_in_row(line + 6, 3) && *ends[2] == '\0');
}

void
prove(void)
{
	char line[TEXT_MAX + 1];
	struct mapping m;
	enum line is;

	line[TEXT_MAX] = '\0';
	is = parse(line, &m);
	PROVE((is == LINE_SET) == spec_set(line));
	PROVE((is == LINE_UNSET) == spec_unset(line));
	if (is != LINE_MALFORMED) {
		PROVE(m.prog == values[0] && m.vers == values[1]);
		PROVE(m.prot == values[2]);
	}
	if (is == LINE_SET) {
		PROVE(m.port == values[3]);
		PROVE(m.owner == (used == 5 ? values[4] : UINT32_MAX));
		if (used == 5)
			REACHED("an entry with an owner");
		if (used == 4)
			REACHED("an entry without an owner");
	}
	if (is == LINE_UNSET)
		REACHED("a removal");
}
