/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_callit() decodes exactly the messages whose arguments have at most
 * WIRE_RECORD_MAX bytes and are complete with their padding; it copies
 * the arguments from their place.
 *
 * Bound: messages of up to 9040 bytes; the longest call has 9000.
 * Run: src/wire.c --unwind 5
 */
#include "memcpy.h"
#include "xdr.h"
#include "wire.h"

enum {
	LEN_MAX = WIRE_RECORD_MAX + 40
};

void
prove(void)
{
	size_t len = any_size(0, LEN_MAX);
	uint8_t *bytes = any_bytes(len);
	static struct wire_callit c;
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)bytes, (u_int)len, XDR_DECODE);
	if (wire_callit(&xdrs, &c)) {
		PROVE(c.len <= WIRE_RECORD_MAX);
		PROVE(16 + (c.len + 3) / 4 * 4 <= len);
		PROVE(c.prog == spec_word(bytes, 0));
		PROVE(c.vers == spec_word(bytes, 4));
		PROVE(c.proc == spec_word(bytes, 8));
		PROVE(c.len == spec_word(bytes, 12));
		PROVE(c.len == 0 ||
		      (copied.to == c.args && copied.from == bytes + 16 &&
			  copied.n == c.len));
		if (c.len == WIRE_RECORD_MAX)
			REACHED("the longest arguments");
	} else {
		PROVE(len < 16 || spec_word(bytes, 12) > WIRE_RECORD_MAX ||
		      16 + ((size_t)spec_word(bytes, 12) + 3) / 4 * 4 > len);
		REACHED("a message that is short");
	}
	free(bytes);
}
