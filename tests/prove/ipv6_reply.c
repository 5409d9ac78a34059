/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipv6_reply() reads no byte beyond the datagram, writes at most 32 bytes and
 * never more than it got, and accepts nothing but NULL of version 2.
 *
 * Bound: datagrams of up to 64 bytes.
 * Run: src/ipv6.c --unwind 33
 */
#include "prove.h"

#include "ipv6.h"

enum {
	LEN_MAX = 64
};

static uint32_t
spec_word(const uint8_t *p, size_t i)
{
	return ((uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		(uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3]);
}

void
prove(void)
{
	size_t len = any_size(0, LEN_MAX), n;
	uint8_t *call = any_bytes(len), reply[IPV6_REPLY_MAX];

	n = ipv6_reply(call, len, reply);
	PROVE(n == 0 || n == 24 || n == 32);
	PROVE(n <= len);
	if (n == 0) {
		free(call);
		return;
	}
	PROVE(spec_word(call, 1) == 0 && spec_word(call, 2) == 2);
	PROVE(spec_word(reply, 0) == spec_word(call, 0));
	PROVE(spec_word(reply, 1) == 1); /* REPLY, accepted, AUTH_NONE */
	PROVE(spec_word(reply, 2) == 0 && spec_word(reply, 3) == 0 &&
	      spec_word(reply, 4) == 0);
	PROVE((spec_word(reply, 5) == 0) ==
	      (spec_word(call, 3) == 100000 && spec_word(call, 4) == 2 &&
		  spec_word(call, 5) == 0));
	PROVE((n == 32) == (spec_word(reply, 5) == 2));
	if (n == 32)
		PROVE(spec_word(reply, 6) == 2 && spec_word(reply, 7) == 2);
	if (spec_word(call, 7) == 24)
		REACHED("a credential up to the end of the datagram");
	free(call);
}
