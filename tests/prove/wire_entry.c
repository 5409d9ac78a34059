/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_entry() encodes an entry as RFC 1833 section 3.1 has it, and writes
 * nothing if there is no room for all of it.
 *
 * Bound: all entries, and room for up to 24 bytes.
 * Run: src/wire.c --unwind 25
 */
#include "xdr.h"
#include "wire.h"

void
prove(void)
{
	size_t room = any_size(0, 24);
	uint8_t bytes[24] = {0};
	struct mapping m;
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)bytes, (u_int)room, XDR_ENCODE);
	if (!wire_entry(&xdrs, &m)) {
		PROVE(room < 20);
		PROVE(spec_word(bytes, 0) == 0);
		REACHED("no room");
		return;
	}
	PROVE(room >= 20);
	PROVE(model_getpos(&xdrs) == 20);
	PROVE(spec_word(bytes, 0) == 1);
	PROVE(spec_word(bytes, 4) == m.prog);
	PROVE(spec_word(bytes, 8) == m.vers);
	PROVE(spec_word(bytes, 12) == m.prot);
	PROVE(spec_word(bytes, 16) == m.port);
	PROVE(spec_word(bytes, 20) == 0);
	REACHED("an entry");
}
