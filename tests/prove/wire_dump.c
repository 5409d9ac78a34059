/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_dump_start(), wire_dump_add(), wire_dump_end() and wire_dump() encode a
 * list of entries as RFC 1833 section 3.1 has it.
 *
 * Bound: lists of up to two entries.
 * Run: src/wire.c --unwind 49
 */
#include "xdr.h"
#include "wire.h"

enum {
	ENTRIES = 2
};

void
prove(void)
{
	size_t entries = any_size(0, ENTRIES);
	struct mapping m[ENTRIES];
	struct wire_dump d = {0};
	uint8_t bytes[ENTRIES * 20 + 4];
	XDR xdrs;

	if (wire_dump_start(&d, entries) == -1) {
		REACHED("no memory");
		return;
	}
	for (size_t i = 0; i < ENTRIES; i++)
		if (i < entries)
			wire_dump_add(&d, &m[i]);
	wire_dump_end(&d);
	xdrmem_create(&xdrs, (char *)bytes, sizeof(bytes), XDR_ENCODE);
	PROVE(wire_dump(&xdrs, &d));
	PROVE(model_getpos(&xdrs) == entries * 20 + 4);
	for (size_t i = 0; i < ENTRIES; i++) {
		if (i == entries)
			break;
		PROVE(spec_word(bytes, i * 20) == 1);
		PROVE(spec_word(bytes, i * 20 + 4) == m[i].prog);
		PROVE(spec_word(bytes, i * 20 + 8) == m[i].vers);
		PROVE(spec_word(bytes, i * 20 + 12) == m[i].prot);
		PROVE(spec_word(bytes, i * 20 + 16) == m[i].port);
	}
	PROVE(spec_word(bytes, entries * 20) == 0);
	if (entries == ENTRIES)
		REACHED("a full list");
	free(d.bytes);
}
