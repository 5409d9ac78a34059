/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_dump_start() empties the dump and makes room for the entries and the
 * last word, or fails and keeps what there is.
 *
 * Bound: up to 16,386 entries, a full table; any earlier room.
 * Run: src/wire.c --unwind 6
 */
#include "xdr.h"
#include "policy.h"
#include "table.h"
#include "wire.h"

enum {
	ENTRIES_MAX = QUOTA_ALL + TABLE_SELF,
	ROOM_MAX = ENTRIES_MAX * 20 + 4
};

void
prove(void)
{
	size_t entries = any_size(0, ENTRIES_MAX);
	struct wire_dump d = {.room = any_size(0, ROOM_MAX)};
	size_t room = d.room;

	if (d.room > 0)
		d.bytes = any_bytes(d.room);
	d.len = nondet_size();
	if (wire_dump_start(&d, entries) == 0) {
		PROVE(d.len == 0);
		PROVE(d.room >= entries * 20 + 4);
		PROVE(d.room >= room);
		PROVE(__CPROVER_w_ok(d.bytes, d.room));
	} else {
		PROVE(d.room == room);
		PROVE(room == 0 || __CPROVER_w_ok(d.bytes, room));
		REACHED("no memory");
	}
	free(d.bytes);
}
