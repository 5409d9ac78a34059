/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * append() of record.c copies what has arrived of a fragment behind what was
 * there, or fails for lack of memory and changes nothing.  A buffer that grew
 * has at most `max` bytes, and either 256 or less than twice the record.
 *
 * Bound: records and inputs of up to 9000 bytes, in any state.
 * Run: --unwind 8
 */
#define LOCAL_WORDS
#include "memcpy.h"
#include "realloc.h"
#include "record_state.h"

#include "../../src/record.c"

void
prove(void)
{
	struct record r = any_record(), before = r;
	size_t n = any_size(0, r.left);
	uint8_t *in = any_bytes(n);

	if (append(&r, WIRE_RECORD_MAX, in, n)) {
		PROVE(holds(&r));
		PROVE(r.len == before.len + n && r.left == before.left - n);
		PROVE(n == 0 || (copied.to == r.body + before.len &&
				    copied.from == in && copied.n == n));
		PROVE(r.room == before.room || r.room <= BUFFER_MIN ||
		      r.room < 2 * r.len);
		if (before.room == 0 && r.room == WIRE_RECORD_MAX)
			REACHED("the longest record at once");
		if (n > 0 && r.room == before.room)
			REACHED("a buffer with room");
	} else {
		PROVE(r.body == before.body && r.room == before.room);
		REACHED("no memory");
	}
	free(r.body);
	free(in);
}
