/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between two records, record_feed() returns a record of one fragment that is
 * whole in its input in place, and allocates nothing.
 *
 * Bound: inputs of up to 65,536 bytes.
 * Run: src/record.c --unwind 5
 */
#define LOCAL_WORDS
#include "memcpy.h"
#include "record.h"
#include "wire.h"

enum {
	INPUT_MAX = 65536
};

void
prove(void)
{
	struct record r = {0};
	size_t n = any_size(4, INPUT_MAX), mark, used, len;
	uint8_t *in = any_bytes(n);
	const uint8_t *body;

	mark = (size_t)in[0] << 24 | (size_t)in[1] << 16 | (size_t)in[2] << 8 |
	       in[3];
	ASSUME(mark >= 0x80000000u);
	mark -= 0x80000000u;
	ASSUME(mark <= WIRE_RECORD_MAX && mark + 4 <= n);
	PROVE(record_feed(&r, WIRE_RECORD_MAX, in, n, &used, &body, &len) ==
	      RECORD_WHOLE);
	PROVE(len == mark && used == len + 4 && body == in + 4);
	PROVE(r.body == NULL && r.len == 0 && r.left == 0 && r.mark_len == 0);
	if (len == WIRE_RECORD_MAX && n > used)
		REACHED("the longest record, and more input");
	if (len == 0)
		REACHED("an empty record");
	free(in);
}
