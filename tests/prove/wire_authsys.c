/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_authsys() accepts exactly the bodies that begin with an authsys_parms of
 * RFC 5531 appendix A: a name of at most 255 bytes and at most 16 groups.
 *
 * Bound: bodies of up to 400 bytes, which is the longest credential.
 * Run: src/wire.c --unwind 5
 */
#include "xdr.h"
#include "wire.h"

/* Read one field after the other. */
static bool
spec(const uint8_t *body, size_t len)
{
	size_t at = 8, n;

	if (len < 8)
		return (false);
	n = spec_word(body, 4);
	if (n > 255)
		return (false);
	at += (n + 3) / 4 * 4 + 8; /* the name, uid and gid */
	if (len < at + 4)
		return (false);
	n = spec_word(body, at);
	return (n <= 16 && len >= at + 4 + 4 * n);
}

void
prove(void)
{
	size_t len = any_size(0, MAX_AUTH_BYTES);
	uint8_t *body = any_bytes(len);
	bool good = wire_authsys(body, len);

	PROVE(good == spec(body, len));
	if (good && len == 20 + 256 + 64 && spec_word(body, 4) == 255)
		REACHED("the longest name and the most groups");
	if (!good && len == MAX_AUTH_BYTES)
		REACHED("a bad body");
	free(body);
}
