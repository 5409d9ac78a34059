/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_mapping() decodes four words from exactly the messages that have them.
 * wire_void() reads and writes nothing.
 *
 * Bound: messages of up to 64 bytes.
 * Run: src/wire.c --unwind 5
 */
#include "xdr.h"
#include "wire.h"

enum {
	LEN_MAX = 64
};

void
prove(void)
{
	size_t len = any_size(0, LEN_MAX);
	uint8_t *bytes = any_bytes(len);
	struct mapping m;
	uid_t owner = m.owner;
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)bytes, (u_int)len, XDR_DECODE);
	PROVE(wire_void(&xdrs, NULL));
	PROVE(model_getpos(&xdrs) == 0);
	if (wire_mapping(&xdrs, &m)) {
		PROVE(len >= 16);
		PROVE(m.prog == spec_word(bytes, 0));
		PROVE(m.vers == spec_word(bytes, 4));
		PROVE(m.prot == spec_word(bytes, 8));
		PROVE(m.port == spec_word(bytes, 12));
		PROVE(m.owner == owner);
		REACHED("a mapping");
	} else {
		PROVE(len < 16);
		REACHED("a short message");
	}
	free(bytes);
}
