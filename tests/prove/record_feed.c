/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_feed() keeps the invariant of a struct record: from any state that
 * satisfies it, any input leads to one that does, whatever realloc() does.  It
 * reads its input only, never past it; a record has at most `max` bytes; and
 * each call takes in something.
 *
 * Bound: inputs of up to 3 bytes, which end one fragment and begin another, on
 * records of up to 9000 bytes.  record_append.c has longer fragments.
 * Run: src/record.c --unwind 7
 */
#define LOCAL_WORDS
#include "memcpy.h"
#include "realloc.h"
#include "record_state.h"

enum {
	INPUT_MAX = 3
};

/* A record that was taken in waits for record_done(). */
static bool
is_whole(const struct record *r)
{
	return (r->last && r->left == 0);
}

void
prove(void)
{
	struct record r = any_record();
	size_t n = any_size(1, INPUT_MAX), used = 0, len = 0;
	size_t before = is_whole(&r) ? 0 : r.len;
	uint8_t bytes[INPUT_MAX], *in = bytes + INPUT_MAX - n;
	const uint8_t *body = NULL;

	switch (record_feed(&r, WIRE_RECORD_MAX, in, n, &used, &body, &len)) {
	case RECORD_MORE:
		PROVE(used == n);
		PROVE(holds(&r) && !is_whole(&r));
		PROVE(r.len <= before + n);
		if (before == 0 && r.len > 0)
			REACHED("the start of a record");
		break;
	case RECORD_WHOLE:
		PROVE(used > 0 && used <= n);
		PROVE(holds(&r));
		PROVE(len <= WIRE_RECORD_MAX && len <= before + used);
		PROVE(len == 0 || __CPROVER_r_ok(body, len));
		PROVE(body != r.body || is_whole(&r));
		if (len == WIRE_RECORD_MAX)
			REACHED("the longest record");
		break;
	case RECORD_BAD:
		PROVE(r.room == 0 || __CPROVER_w_ok(r.body, r.room));
		REACHED("a bad record");
		break;
	}
	record_reset(&r);
	PROVE(r.body == NULL && r.len == 0 && r.left == 0 && r.mark_len == 0);
}
