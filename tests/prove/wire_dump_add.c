/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_dump_add() and wire_dump_end() write 20 and 4 bytes behind what is
 * there, within the room that wire_dump_start() makes: a step of an induction
 * over the entries.  wire_dump.c has the words.
 *
 * Bound: up to 16,386 entries, a full table.
 * Run: src/wire.c --unwind 6
 */
#define LOCAL_WORDS
#include "memcpy.h"
#include "xdr.h"
#include "policy.h"
#include "table.h"
#include "wire.h"

enum {
	ENTRIES_MAX = QUOTA_ALL + TABLE_SELF
};

void
prove(void)
{
	size_t entries = any_size(0, ENTRIES_MAX), left = any_size(0, entries);
	struct wire_dump d = {
	    .room = entries * 20 + 4, .len = (entries - left) * 20};
	size_t before = d.len;
	struct mapping m;

	d.bytes = any_bytes(d.room);
	if (left == 0) {
		wire_dump_end(&d);
		PROVE(d.len == before + 4);
		REACHED("the end of a dump");
	} else {
		wire_dump_add(&d, &m);
		PROVE(d.len == before + 20);
		PROVE(d.len + (left - 1) * 20 + 4 <= d.room);
		REACHED("an entry");
	}
	PROVE(d.len <= d.room);
	free(d.bytes);
}
