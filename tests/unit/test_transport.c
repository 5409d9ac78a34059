/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers in, replies out; the sockets carry nothing. */
#include "wrap.h"

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "ifaddr.h"
#include "transport.h"
#include "wire.h"

static uint8_t reply_bytes[512];
static size_t reply_len;

static bool_t
keep_reply(SVCXPRT *xprt, struct rpc_msg *reply)
{
	reply_len = transport_encode(
	    transport_of(xprt), reply, reply_bytes, sizeof(reply_bytes));
	return (reply_len > 0);
}

/* Serve a call of these words, in memory of exactly that size. */
static enum call_result
serve(struct transport *t, const uint32_t *words, size_t n)
{
	uint8_t *bytes = test_malloc(n * 4 + 1);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	enum call_result result;

	for (size_t i = 0; i < n; i++) {
		uint32_t word = htonl(words[i]);

		memcpy(bytes + i * 4, &word, 4);
	}
	reply_len = 0;
	assert_int_equal(transport_register(t, fd, keep_reply), 0);
	result = transport_serve(t, bytes, n * 4);
	transport_unregister(t);
	close(fd);
	test_free(bytes);
	return (result);
}

static uint32_t
reply_word(size_t word)
{
	uint32_t w;

	assert_true(word * 4 < reply_len);
	memcpy(&w, reply_bytes + word * 4, 4);
	return (ntohl(w));
}

#define SERVE(t, ...)                                                          \
	serve(t, (const uint32_t[]){__VA_ARGS__},                              \
	    LENGTH(((const uint32_t[]){__VA_ARGS__})))

static void
test_taken(void **state)
{
	struct transport t = {.call = {.peer = {.origin = ORIGIN_NETWORK}}};

	(void)state;
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100000, 2, 3, 0, 0, 0, 0), CALL_DISPATCHED);
	assert_int_equal(t.call.xid, 77);
	assert_int_equal(t.call.len, 40);
	/* AUTH_SYS, the smallest */
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100000, 2, 3, 1, 20, 0, 0, 0, 0, 0, 0, 0),
	    CALL_DISPATCHED);
	/* no dispatcher is registered here */
	assert_int_equal(reply_len, 24);
	assert_int_equal(reply_word(5), PROG_UNAVAIL);
}

static void
test_garbage(void **state)
{
	struct transport t = {.call = {.peer = {.origin = ORIGIN_NETWORK}}};

	(void)state;
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100000, 2, 3, 0, 0, 0), CALL_MALFORMED);
	assert_int_equal(
	    SERVE(&t, 77, 1, 2, 100000, 2, 3, 0, 0, 0, 0), CALL_MALFORMED);
	/* the reply of another server draws none */
	assert_int_equal(
	    SERVE(&t, 77, 1, 1, 0, 2, 2, 0, 0, 0, 0), CALL_MALFORMED);
	assert_int_equal(reply_len, 0);
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100000, 2, 3, 0, 401, 0, 0), CALL_MALFORMED);
	assert_int_equal(SERVE(&t, 77, 0, 2, 100000, 2, 3, 0, 0xffffffff, 0, 0),
	    CALL_MALFORMED);
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100000, 2, 3, 0, 12, 0, 0), CALL_MALFORMED);
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100000, 2, 3, 0, 0, 0, 4), CALL_MALFORMED);
	assert_int_equal(reply_len, 0);
}

static void
test_whom_a_filter_allows(void **state)
{
	const struct peer other = {.from.sin_addr = {htonl(0xc0000201)}};
	const struct peer own = {.from.sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct peer ipv6 = {.origin = ORIGIN_IPV6};
	const struct addrfilt any = {&(struct addrfilt_net){{0}, {0}}, 1};
	struct addrfilt_net net = {{htonl(0xc0000200)}, {htonl(0xffffff00)}};
	const struct addrfilt none = {0}, one = {.nets = &net, .count = 1};

	(void)state;
	need_loopback();
	assert_int_equal(ifaddr_open(), 0);
	assert_true(transport_allows(NULL, &other, false));
	assert_true(transport_allows(&one, &other, false));
	assert_true(transport_allows(&one, &own, false));
	net.addr.s_addr = htonl(0xc0000300);
	assert_false(transport_allows(&one, &other, false));
	/* with -l: only what was received on lo */
	assert_false(transport_allows(&none, &other, false));
	assert_false(transport_allows(&none, &own, false));
	assert_true(transport_allows(&none, &own, true));
	/* a filter knows IPv4 only */
	assert_true(transport_allows(NULL, &ipv6, false));
	assert_true(transport_allows(&any, &other, false));
	assert_false(transport_allows(&any, &ipv6, false));
	assert_true(transport_allows(&any, &ipv6, true));
}

static void
test_versions(void **state)
{
	struct transport t = {.call = {.peer = {.origin = ORIGIN_NETWORK}}};

	(void)state;
	assert_int_equal(
	    SERVE(&t, 77, 0, 3, 100000, 2, 3, 0, 0, 0, 0), CALL_REJECTED);
	assert_int_equal(reply_len, 24);
	assert_int_equal(reply_word(0), 77);
	assert_int_equal(reply_word(2), MSG_DENIED);
	assert_int_equal(reply_word(3), RPC_MISMATCH);
	assert_int_equal(reply_word(4), 2);
	assert_int_equal(reply_word(5), 2);
	for (uint32_t vers = 0; vers < 6; vers++) {
		for (enum origin origin = 0; origin < ORIGINS; origin++) {
			bool here =
			    origin == ORIGIN_LOOPBACK || origin == ORIGIN_LOCAL;
			bool ok =
			    vers == 2 || ((vers == 3 || vers == 4) && here);

			t.call.peer.origin = origin;
			assert_int_equal(
			    SERVE(&t, 77, 0, 2, 100000, vers, 3, 0, 0, 0, 0),
			    ok ? CALL_DISPATCHED : CALL_REJECTED);
			if (ok)
				continue;
			assert_int_equal(reply_word(5), PROG_MISMATCH);
			assert_int_equal(reply_word(6), 2);
			assert_int_equal(reply_word(7), 2);
		}
	}
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100003, 3, 0, 0, 0, 0, 0), CALL_REJECTED);
	assert_int_equal(reply_word(5), PROG_UNAVAIL);
}

static void
test_credentials(void **state)
{
	static const uint32_t flavors[] = {2, 3, 6, 390003, 0xffffffff};
	struct transport t = {.call = {.peer = {.origin = ORIGIN_NETWORK}}};

	(void)state;
	for (size_t i = 0; i < LENGTH(flavors); i++) {
		assert_int_equal(
		    SERVE(&t, 77, 0, 2, 100000, 2, 3, flavors[i], 4, 1, 0, 0),
		    CALL_REJECTED);
		assert_int_equal(reply_len, 20);
		assert_int_equal(reply_word(3), AUTH_ERROR);
		assert_int_equal(reply_word(4), AUTH_REJECTEDCRED);
	}
	/* AUTH_SYS that counts more groups than there are */
	assert_int_equal(
	    SERVE(&t, 77, 0, 2, 100000, 2, 3, 1, 20, 0, 0, 0, 0, 1, 0, 0),
	    CALL_REJECTED);
	assert_int_equal(reply_word(4), AUTH_BADCRED);
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
	    transport_encode(&t, &reply, reply_bytes, sizeof(reply_bytes)), 28);
}

/* Encode by both, and compare. */
static void
check_encode(struct rpc_msg *reply)
{
	struct transport t = {.call = {.xid = 0x12345678}};
	uint8_t ours[64], theirs[64];
	size_t len;
	XDR xdrs;

	reply->rm_xid = t.call.xid;
	xdrmem_create(&xdrs, (char *)theirs, sizeof(theirs), XDR_ENCODE);
	assert_true(xdr_replymsg(&xdrs, reply));
	len = transport_encode(&t, reply, ours, sizeof(ours));
	assert_int_equal(len, xdr_getpos(&xdrs));
	assert_memory_equal(ours, theirs, len);
	for (size_t room = 0; room < len; room++)
		assert_int_equal(transport_encode(&t, reply, ours, room), 0);
}

static void
test_encode_is_that_of_libtirpc(void **state)
{
	struct rpc_msg reply = {.rm_direction = REPLY};
	uint32_t port = 111;

	(void)state;
	reply.rm_reply.rp_stat = MSG_ACCEPTED;
	for (int stat = SUCCESS; stat <= SYSTEM_ERR; stat++) {
		reply.acpted_rply.ar_stat = (enum accept_stat)stat;
		if (stat == SUCCESS) {
			reply.acpted_rply.ar_results.proc =
			    (xdrproc_t)xdr_u_int32_t;
			reply.acpted_rply.ar_results.where = (caddr_t)&port;
		} else {
			reply.acpted_rply.ar_vers.low = 2;
			reply.acpted_rply.ar_vers.high = 4;
		}
		check_encode(&reply);
	}
	reply.rm_reply.rp_stat = MSG_DENIED;
	reply.rjcted_rply.rj_stat = RPC_MISMATCH;
	reply.rjcted_rply.rj_vers.low = 2;
	reply.rjcted_rply.rj_vers.high = 3;
	check_encode(&reply);
	reply.rjcted_rply.rj_stat = AUTH_ERROR;
	reply.rjcted_rply.rj_why = AUTH_TOOWEAK;
	check_encode(&reply);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_taken),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_whom_a_filter_allows),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_credentials),
	    cmocka_unit_test(test_encode_is_bounded),
	    cmocka_unit_test(test_encode_is_that_of_libtirpc),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
