/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_rpcb() decodes two words and three strings of at most 255 bytes, none of
 * them NUL; the netid and the address end with a NUL where their length says.
 * Any word of the message may be the last.
 *
 * Bound: all messages.
 * Run: src/wire.c --unwind 5
 */
#include "prove.h"
#include "wire.h"

enum {
	WORDS = 5 /* two numbers and three lengths */
};

static uint32_t words[WORDS];
static char *texts[WORDS];
static size_t used, failed;

/* A model of a stream: any word, or none. */
bool_t
xdr_u_int32_t(XDR *xdrs, uint32_t *word)
{
	PROVE(used < WORDS && failed == 0);
	if (nondet_bool()) {
		failed++;
		return (FALSE);
	}
	words[used] = nondet_u32();
	*word = words[used++];
	return (TRUE);
}

/* Any bytes of the length before them, or none; texts[] are any bytes. */
bool_t
xdr_opaque(XDR *xdrs, char *bytes, u_int n)
{
	PROVE(used > 2 && n == words[used - 1]);
	PROVE(n <= 255 && __CPROVER_w_ok(bytes, n + 1));
	texts[used - 1] = bytes;
	if (nondet_bool()) {
		failed++;
		return (FALSE);
	}
	return (TRUE);
}

/* The NUL that the length tells is there; another may be anywhere before. */
size_t
strlen(const char *text)
{
	uint32_t len = words[used - 1];
	size_t n = any_size(0, len);

	PROVE(text == texts[used - 1] && text[len] == '\0');
	failed += n < len;
	return (n);
}

void
prove(void)
{
	struct wire_rpcb r;
	XDR xdrs;

	if (wire_rpcb(&xdrs, &r)) {
		PROVE(used == WORDS && failed == 0);
		PROVE(r.prog == words[0] && r.vers == words[1]);
		PROVE(texts[2] == r.netid && r.netid[words[2]] == '\0');
		PROVE(texts[3] == r.addr && r.addr[words[3]] == '\0');
		PROVE(texts[4] != r.netid && texts[4] != r.addr);
		if (words[2] == 255 && words[3] == 255 && words[4] == 255)
			REACHED("the longest strings");
	} else {
		PROVE(failed == 1 || (used > 2 && words[used - 1] > 255));
		if (failed == 0)
			REACHED("a string that is too long");
		if (used == WORDS)
			REACHED("an incomplete owner");
	}
}
