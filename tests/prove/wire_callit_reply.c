/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_callit_reply() encodes the reply to a CALLIT if it fits into the room,
 * and returns its length; else it returns 0 and writes nothing.
 *
 * Bound: results and room of up to 9100 bytes; a datagram has at most 9000.
 * Run: src/wire.c --unwind 9
 */
#include "xdr.h"
#include "wire.h"

enum {
	LEN_MAX = WIRE_RECORD_MAX + 100
};

void
prove(void)
{
	size_t len = any_size(0, LEN_MAX), room = any_size(0, LEN_MAX);
	size_t n, i = nondet_size();
	uint8_t *results = any_bytes(len), *bytes = any_bytes(room);
	uint32_t xid = nondet_u32(), port = nondet_u32();
	uint8_t first = room > 0 ? bytes[0] : 0;

	n = wire_callit_reply(xid, port, results, len, bytes, room);
	PROVE(n <= room);
	PROVE(n == (32 + len <= room ? 32 + len : 0));
	if (n > 0) {
		PROVE(spec_word(bytes, 0) == xid);
		PROVE(spec_word(bytes, 4) == 1); /* REPLY */
		for (size_t at = 8; at < 24; at += 4)
			PROVE(spec_word(bytes, at) == 0);
		PROVE(spec_word(bytes, 24) == port);
		PROVE(spec_word(bytes, 28) == len);
		if (i < len)
			PROVE(bytes[32 + i] == results[i]);
		if (len == WIRE_RECORD_MAX)
			REACHED("long results");
	} else {
		PROVE(room == 0 || bytes[0] == first);
		REACHED("no room");
	}
	free(bytes);
	free(results);
}
