/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers in, answers out, without a socket. */
#include "wrap.h"

#include <arpa/inet.h>

#include "transport.h"
#include "wire.h"

static uint8_t answer[512];
static size_t answer_len;

static bool_t
keep_answer(SVCXPRT *xprt, struct rpc_msg *reply)
{
	answer_len =
	    transport_encode(transport_of(xprt), reply, answer, sizeof(answer));
	return (answer_len > 0);
}

static const struct xp_ops ops = {.xp_reply = keep_answer};

/* Decode a call of these words, in memory of just that size. */
static enum transport_call_state
decode(struct transport *t, const uint32_t *words, size_t n)
{
	static char area[2 * MAX_AUTH_BYTES];
	struct rpc_msg msg;
	enum transport_call_state state;
	uint8_t *bytes = test_malloc(n * 4 + 1);

	for (size_t i = 0; i < n; i++) {
		uint32_t word = htonl(words[i]);

		memcpy(bytes + i * 4, &word, 4);
	}
	msg.rm_call.cb_cred.oa_base = area;
	msg.rm_call.cb_verf.oa_base = area + MAX_AUTH_BYTES;
	t->xprt.xp_ops = &ops;
	answer_len = 0;
	state = transport_decode(t, bytes, n * 4, &msg);
	test_free(bytes);
	return (state);
}

static uint32_t
answered(size_t word)
{
	uint32_t w;

	assert_true(word * 4 < answer_len);
	memcpy(&w, answer + word * 4, 4);
	return (ntohl(w));
}

#define DECODE(t, ...)                                                         \
	decode(t, (const uint32_t[]){__VA_ARGS__},                             \
	    LENGTH(((const uint32_t[]){__VA_ARGS__})))

static void
test_taken(void **state)
{
	struct transport t = {.call = {.peer = {.door = DOOR_NETWORK}}};

	(void)state;
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 0, 0, 0, 0), CALL_TAKEN);
	assert_int_equal(t.call.xid, 77);
	assert_int_equal(t.call.len, 40);
	/* AUTH_SYS, the smallest */
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 1, 20, 0, 0, 0, 0, 0, 0, 0),
	    CALL_TAKEN);
	assert_int_equal(answer_len, 0);
}

static void
test_garbage(void **state)
{
	struct transport t = {.call = {.peer = {.door = DOOR_NETWORK}}};

	(void)state;
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 0, 0, 0), CALL_GARBAGE);
	assert_int_equal(
	    DECODE(&t, 77, 1, 2, 100000, 2, 3, 0, 0, 0, 0), CALL_GARBAGE);
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 0, 401, 0, 0), CALL_GARBAGE);
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 0, 0xffffffff, 0, 0),
	    CALL_GARBAGE);
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 0, 12, 0, 0), CALL_GARBAGE);
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 0, 0, 0, 4), CALL_GARBAGE);
	assert_int_equal(answer_len, 0);
}

static void
test_versions(void **state)
{
	struct transport t = {.call = {.peer = {.door = DOOR_NETWORK}}};

	(void)state;
	assert_int_equal(
	    DECODE(&t, 77, 0, 3, 100000, 2, 3, 0, 0, 0, 0), CALL_ANSWERED);
	assert_int_equal(answer_len, 24);
	assert_int_equal(answered(0), 77);
	assert_int_equal(answered(2), MSG_DENIED);
	assert_int_equal(answered(3), RPC_MISMATCH);
	assert_int_equal(answered(4), 2);
	assert_int_equal(answered(5), 2);
	for (uint32_t vers = 0; vers < 6; vers++) {
		for (enum door door = 0; door < DOORS; door++) {
			bool ok = vers == 2 || ((vers == 3 || vers == 4) &&
						   door == DOOR_LOCAL);

			t.call.peer.door = door;
			assert_int_equal(
			    DECODE(&t, 77, 0, 2, 100000, vers, 3, 0, 0, 0, 0),
			    ok ? CALL_TAKEN : CALL_ANSWERED);
			if (ok)
				continue;
			assert_int_equal(answered(5), PROG_MISMATCH);
			assert_int_equal(answered(6), 2);
			assert_int_equal(answered(7), 2);
		}
	}
	/* other programs are libtirpc's to refuse */
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100003, 3, 0, 0, 0, 0, 0), CALL_TAKEN);
}

static void
test_credentials(void **state)
{
	static const uint32_t flavors[] = {2, 3, 6, 390003, 0xffffffff};
	struct transport t = {.call = {.peer = {.door = DOOR_NETWORK}}};

	(void)state;
	for (size_t i = 0; i < LENGTH(flavors); i++) {
		assert_int_equal(
		    DECODE(&t, 77, 0, 2, 100000, 2, 3, flavors[i], 4, 1, 0, 0),
		    CALL_ANSWERED);
		assert_int_equal(answer_len, 20);
		assert_int_equal(answered(3), AUTH_ERROR);
		assert_int_equal(answered(4), AUTH_REJECTEDCRED);
	}
	/* AUTH_SYS that counts more groups than there are */
	assert_int_equal(
	    DECODE(&t, 77, 0, 2, 100000, 2, 3, 1, 20, 0, 0, 0, 0, 1, 0, 0),
	    CALL_ANSWERED);
	assert_int_equal(answered(4), AUTH_BADCRED);
}

static void
test_encode_is_bounded(void **state)
{
	struct rpc_msg reply = {.rm_direction = REPLY};
	struct transport t = {.call = {.xid = 5}};
	uint8_t bytes[24];
	uint32_t port = 111;

	(void)state;
	reply.rm_reply.rp_stat = MSG_ACCEPTED;
	reply.acpted_rply.ar_stat = SUCCESS;
	reply.acpted_rply.ar_results.proc = (xdrproc_t)xdr_u_int32_t;
	reply.acpted_rply.ar_results.where = (caddr_t)&port;
	assert_int_equal(transport_encode(&t, &reply, bytes, 23), 0);
	assert_int_equal(transport_encode(&t, &reply, bytes, 24), 0);
	assert_int_equal(
	    transport_encode(&t, &reply, answer, sizeof(answer)), 28);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_taken),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_credentials),
	    cmocka_unit_test(test_encode_is_bounded),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
