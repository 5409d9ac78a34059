/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_call() encodes the header of RFC 5531 section 9 with AUTH_NONE, then the
 * arguments, and nothing behind them.
 *
 * Bound: arguments of up to 9000 bytes, which is the longest call.
 * Run: src/wire.c --unwind 11
 */
#include "memcpy.h"
#include "xdr.h"
#include "wire.h"

void
prove(void)
{
	static struct wire_callit c;
	uint32_t xid = nondet_u32();
	size_t n;
	uint8_t *bytes;

	HAVOC(&c);
	ASSUME(c.len <= WIRE_RECORD_MAX);
	bytes = any_bytes(WIRE_CALL_MIN + c.len);
	n = wire_call(&c, xid, bytes);
	PROVE(n == 40 + c.len);
	PROVE(spec_word(bytes, 0) == xid);
	PROVE(spec_word(bytes, 4) == 0); /* CALL */
	PROVE(spec_word(bytes, 8) == 2); /* of RPC */
	PROVE(spec_word(bytes, 12) == c.prog);
	PROVE(spec_word(bytes, 16) == c.vers);
	PROVE(spec_word(bytes, 20) == c.proc);
	for (size_t at = 24; at < 40; at += 4)
		PROVE(spec_word(bytes, at) == 0);
	PROVE(copied.to == bytes + 40 && copied.from == c.args);
	PROVE(copied.n == c.len);
	if (c.len == WIRE_RECORD_MAX)
		REACHED("the longest arguments");
	free(bytes);
}
