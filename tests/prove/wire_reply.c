/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_reply() accepts exactly the replies of RFC 5531 section 9 to this xid
 * that are accepted and SUCCESS; the results are the rest of the message.
 *
 * Bound: datagrams of up to 9000 bytes, which is all that callit.c receives.
 * Run: src/wire.c --unwind 5
 */
#include "xdr.h"
#include "wire.h"

static enum wire_reply
spec(const uint8_t *bytes, size_t len, uint32_t xid, size_t *head)
{
	if (len < 12 || len % 4 != 0 || spec_word(bytes, 0) != xid ||
	    spec_word(bytes, 4) != 1)
		return (REPLY_OTHER);
	if (spec_word(bytes, 8) != 0)
		return (REPLY_FAILED); /* MSG_DENIED */
	if (len < 24 || spec_word(bytes, 16) > 400)
		return (REPLY_OTHER);
	*head = 24 + ((size_t)spec_word(bytes, 16) + 3) / 4 * 4;
	if (len < *head)
		return (REPLY_OTHER);
	return (
	    spec_word(bytes, *head - 4) == 0 ? REPLY_SUCCESS : REPLY_FAILED);
}

void
prove(void)
{
	size_t len = any_size(0, WIRE_RECORD_MAX), results_len, head;
	uint8_t *bytes = any_bytes(len);
	uint32_t xid = nondet_u32();
	const uint8_t *results;
	enum wire_reply reply =
	    wire_reply(bytes, len, xid, &results, &results_len);

	PROVE(reply == spec(bytes, len, xid, &head));
	if (reply == REPLY_SUCCESS) {
		PROVE(results == bytes + head);
		PROVE(results_len == len - head);
		PROVE(results_len % 4 == 0);
		if (head == 424 && results_len == 4)
			REACHED("the longest verifier");
	}
	if (reply == REPLY_FAILED)
		REACHED("a reply without results");
	if (reply == REPLY_OTHER)
		REACHED("another message");
	free(bytes);
}
