/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport_encode() returns at most `room` and writes nothing beyond it; a
 * reply without results is complete or absent.  With reply_length.c, this is
 * the rule that no reply to the network is longer than its call.
 *
 * Bound: all replies, in a room of up to 65,507 bytes.
 * Run: --unwind 9
 */
#include "memcpy.h"
#include "xdr.h"

#include "../../src/transport.c"

static u_int results_len;
static bool results_fail;

/* Results of any length, as far as there is room. */
static bool_t
encode_results(XDR *xdrs, ...)
{
	char *bytes = xdrs->x_private;

	PROVE(xdrs->x_handy == 0 || __CPROVER_w_ok(bytes, xdrs->x_handy));
	if (results_len > xdrs->x_handy)
		return (FALSE);
	xdrs->x_private = bytes + results_len;
	xdrs->x_handy -= results_len;
	return (TRUE);
}

void
prove(void)
{
	static struct transport t;
	static struct rpc_msg reply;
	size_t room = any_size(0, 65507), n;
	uint8_t *bytes = any_bytes(room);
	bool accepted;

	HAVOC(&reply);
	t.call.xid = nondet_u32();
	results_len = nondet_u32();
	reply.acpted_rply.ar_results.proc = encode_results;
	n = transport_encode(&t, &reply, bytes, room);
	accepted = reply.rm_reply.rp_stat == MSG_ACCEPTED;
	PROVE(n <= room);
	if (n > 0) {
		PROVE(n >= 20 && spec_word(bytes, 0) == t.call.xid);
		PROVE(spec_word(bytes, 4) == 1); /* REPLY */
	}
	if (transport_succeeds(&reply)) {
		PROVE(n == (24 + (size_t)results_len <= room ? 24 + results_len
							     : 0));
		PROVE(n == 0 || spec_word(bytes, 20) == 0);
		if (n == 65507)
			REACHED("the longest datagram");
		if (n == 0 && room > 24)
			REACHED("no room for the results");
	} else {
		PROVE(n == 0 || n == 20 || n == 24 || n == 32);
		if (n == 32 && accepted)
			REACHED("PROG_MISMATCH");
		if (n == 24 && !accepted)
			REACHED("RPC_MISMATCH");
	}
	free(bytes);
}
