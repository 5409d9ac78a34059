/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>

#include "wire.h"

/* Words and strings, encoded by hand. */
struct body {
	uint8_t bytes[2048];
	size_t len;
};

static void
word(struct body *b, uint32_t w)
{
	w = htonl(w);
	memcpy(b->bytes + b->len, &w, 4);
	b->len += 4;
}

static void
text(struct body *b, const char *s, size_t n)
{
	word(b, (uint32_t)n);
	memcpy(b->bytes + b->len, s, n);
	b->len += (n + 3) & ~(size_t)3;
}

static bool
decode(const struct body *b, size_t len, xdrproc_t proc, void *into)
{
	/* just as much memory as there are bytes, for the sanitizers */
	char *copy = test_malloc(len + 1);
	XDR xdrs;
	bool ok;

	memcpy(copy, b->bytes, len);
	xdrmem_create(&xdrs, copy, (u_int)len, XDR_DECODE);
	ok = (*proc)(&xdrs, into);
	test_free(copy);
	return (ok);
}

static void
test_mapping(void **state)
{
	struct mapping m = {.owner = 77};
	struct body b = {.len = 0};

	(void)state;
	for (uint32_t i = 1; i <= 4; i++)
		word(&b, 0xfffffff0u + i);
	for (size_t len = 0; len < 16; len++)
		assert_false(decode(&b, len, (xdrproc_t)wire_mapping, &m));
	assert_true(decode(&b, 16, (xdrproc_t)wire_mapping, &m));
	assert_int_equal(m.prog, 0xfffffff1u);
	assert_int_equal(m.vers, 0xfffffff2u);
	assert_int_equal(m.prot, 0xfffffff3u);
	assert_int_equal(m.port, 0xfffffff4u);
	assert_int_equal(m.owner, 77);
}

static void
test_rpcb(void **state)
{
	struct wire_rpcb r;
	struct body b = {.len = 0};

	(void)state;
	word(&b, 1);
	word(&b, 2);
	text(&b, "udp", 3);
	text(&b, "0.0.0.0.19.137", 14);
	text(&b, "superuser", 9);
	for (size_t len = 0; len < b.len; len++)
		assert_false(decode(&b, len, (xdrproc_t)wire_rpcb, &r));
	assert_true(decode(&b, b.len, (xdrproc_t)wire_rpcb, &r));
	assert_int_equal(r.prog, 1);
	assert_int_equal(r.vers, 2);
	assert_string_equal(r.netid, "udp");
	assert_string_equal(r.addr, "0.0.0.0.19.137");
}

static void
test_rpcb_strings_are_bounded(void **state)
{
	static const struct {
		size_t n;
		bool ok;
	} cases[] = {{255, true}, {256, false}, {1024, false}};
	static char longer[1025];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		for (size_t at = 0; at < 3; at++) {
			struct body b = {.len = 0};
			struct wire_rpcb r;

			word(&b, 1);
			word(&b, 2);
			for (size_t s = 0; s < 3; s++)
				text(&b, longer, s == at ? cases[i].n : 1);
			assert_int_equal(
			    decode(&b, b.len, (xdrproc_t)wire_rpcb, &r),
			    cases[i].ok);
		}
	}
}

static void
test_rpcb_strings_end_where_they_say(void **state)
{
	struct body b = {.len = 0};
	struct wire_rpcb r;

	(void)state;
	word(&b, 1);
	word(&b, 2);
	text(&b, "udp\0x", 5);
	text(&b, "", 0);
	text(&b, "", 0);
	assert_false(decode(&b, b.len, (xdrproc_t)wire_rpcb, &r));
}

static void
test_netid(void **state)
{
	/* of RFC 5665, and of the /etc/netconfig of libtirpc */
	static const char *const others[] = {"udp6", "tcp6", "local", "unix",
	    "rawip", "ticlts", "ticots", "ticotsord", "sctp", "sctp6"};

	(void)state;
	assert_int_equal(wire_netid(""), NETID_ANY);
	assert_int_equal(wire_netid("udp"), NETID_UDP);
	assert_int_equal(wire_netid("tcp"), NETID_TCP);
	for (size_t i = 0; i < LENGTH(others); i++)
		assert_int_equal(wire_netid(others[i]), NETID_OTHER);
	assert_int_equal(wire_netid("UDP"), NETID_UNKNOWN);
	assert_int_equal(wire_netid("udp7"), NETID_UNKNOWN);
}

static void
test_uaddr(void **state)
{
	static const char *const bad[] = {"", ".", "1.2.3.4", "1.2.3.4.5",
	    "1.2.3.4.5.", "1.2.3.4.5.6.", "1.2.3.4.5.6.7", "1..3.4.5.6",
	    "1.2.3.4.5.256", "256.2.3.4.5.6", "1.2.3.4.05.6", "1.2.3.4.5.06",
	    "1.2.3.4.5.-6", "1.2.3.4.5.6 ", " 1.2.3.4.5.6", "1.2.3.4.5.0x6",
	    "1.2.3.4.5.99999999999999999999", "::.1.2", "00.0.0.0.0.0"};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_int_equal(wire_uaddr(bad[i]), -1);
	for (int port = 0; port <= PORT_MAX; port += 5) {
		snprintf(buf, sizeof(buf), "255.0.10.1.%d.%d", port >> 8,
		    port & 255);
		assert_int_equal(wire_uaddr(buf), port);
	}
}

static void
test_entry(void **state)
{
	const struct mapping m = {1, 2, 3, 4, 0};
	const uint32_t expected[] = {
	    htonl(1), htonl(1), htonl(2), htonl(3), htonl(4)};
	char out[sizeof(expected)];
	XDR xdrs;

	(void)state;
	xdrmem_create(&xdrs, out, sizeof(out), XDR_ENCODE);
	assert_true(wire_entry(&xdrs, &m));
	assert_memory_equal(out, expected, sizeof(out));
	assert_false(wire_entry(&xdrs, &m));
}

static void
test_authsys(void **state)
{
	struct body b;

	(void)state;
	for (size_t name = 0; name <= 256; name++) {
		for (uint32_t gids = 0; gids <= 17; gids++) {
			bool ok = name <= 255 && gids <= 16;

			memset(&b, 0, sizeof(b));
			word(&b, 9);
			text(&b, "", name ? 0 : 0);
			b.len -= 4;
			word(&b, (uint32_t)name);
			b.len += (name + 3) & ~(size_t)3;
			word(&b, 0);
			word(&b, 0);
			word(&b, gids);
			for (uint32_t i = 0; i < gids; i++)
				word(&b, i);
			assert_int_equal(wire_authsys(b.bytes, b.len), ok);
			if (ok)
				for (size_t len = b.len % 8; len < b.len;
				     len += 8)
					assert_false(
					    wire_authsys(b.bytes, len));
		}
	}
}

static void
test_callit(void **state)
{
	static struct wire_callit c;
	static uint8_t bytes[WIRE_CALL_MIN + WIRE_RECORD_MAX];
	struct body b = {.len = 0};
	const uint32_t head[] = {
	    htonl(7), 0, htonl(2), htonl(1), htonl(2), htonl(3), 0, 0, 0, 0};

	(void)state;
	word(&b, 1);
	word(&b, 2);
	word(&b, 3);
	text(&b, "abcdefg", 7);
	for (size_t len = 0; len < b.len; len++)
		assert_false(decode(&b, len, (xdrproc_t)wire_callit, &c));
	assert_true(decode(&b, b.len, (xdrproc_t)wire_callit, &c));
	assert_int_equal(c.len, 7);
	assert_int_equal(wire_call(&c, 7, bytes), 47);
	assert_memory_equal(bytes, head, sizeof(head));
	assert_memory_equal(bytes + 40, "abcdefg", 7);

	b.len = 12;
	word(&b, WIRE_RECORD_MAX + 1);
	assert_false(decode(&b, sizeof(b.bytes), (xdrproc_t)wire_callit, &c));
	b.len = 12;
	word(&b, 0xffffffff);
	assert_false(decode(&b, sizeof(b.bytes), (xdrproc_t)wire_callit, &c));
}

/* The reply of a service, in memory of just its length. */
static enum wire_reply
judge(const struct body *b, size_t len, size_t *results_len)
{
	uint8_t *copy = test_malloc(len + 1);
	const uint8_t *results = NULL;
	enum wire_reply reply;

	memcpy(copy, b->bytes, len);
	reply = wire_reply(copy, len, 7, &results, results_len);
	if (reply == REPLY_SUCCESS)
		assert_ptr_equal(results + *results_len, copy + len);
	test_free(copy);
	return (reply);
}

static void
test_reply(void **state)
{
	struct body b = {.len = 0};
	size_t n;

	(void)state;
	word(&b, 7);
	word(&b, 1);
	word(&b, 0);
	word(&b, 1);
	text(&b, "verifier", 8);
	word(&b, 0);
	word(&b, 42);
	for (size_t len = 0; len < 32; len++)
		assert_int_equal(judge(&b, len, &n), REPLY_OTHER);
	assert_int_equal(judge(&b, 32, &n), REPLY_SUCCESS);
	assert_int_equal(n, 0);
	assert_int_equal(judge(&b, 36, &n), REPLY_SUCCESS);
	assert_int_equal(n, 4);
	assert_int_equal(judge(&b, 35, &n), REPLY_OTHER);

	b.bytes[31] = 4; /* GARBAGE_ARGS */
	assert_int_equal(judge(&b, 36, &n), REPLY_FAILED);
	b.bytes[31] = 0;
	b.bytes[18] = 1; /* a verifier of 264 */
	assert_int_equal(judge(&b, 36, &n), REPLY_OTHER);
	b.bytes[16] = 0xff;
	assert_int_equal(judge(&b, 36, &n), REPLY_OTHER);
	b.bytes[11] = 1; /* denied */
	assert_int_equal(judge(&b, 36, &n), REPLY_FAILED);
	b.bytes[7] = 0; /* a call */
	assert_int_equal(judge(&b, 36, &n), REPLY_OTHER);
}

static void
test_callit_reply(void **state)
{
	const uint32_t expected[] = {
	    htonl(9), htonl(1), 0, 0, 0, 0, htonl(5000), htonl(4), htonl(42)};
	const uint32_t result = htonl(42);
	uint8_t bytes[64];

	(void)state;
	assert_int_equal(
	    wire_callit_reply(9, 5000, (const uint8_t *)&result, 4, bytes, 36),
	    36);
	assert_memory_equal(bytes, expected, 36);
	assert_int_equal(
	    wire_callit_reply(9, 5000, (const uint8_t *)&result, 4, bytes, 35),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mapping),
	    cmocka_unit_test(test_rpcb),
	    cmocka_unit_test(test_rpcb_strings_are_bounded),
	    cmocka_unit_test(test_rpcb_strings_end_where_they_say),
	    cmocka_unit_test(test_netid),
	    cmocka_unit_test(test_uaddr),
	    cmocka_unit_test_teardown(test_entry, wrap_teardown),
	    cmocka_unit_test(test_authsys),
	    cmocka_unit_test(test_callit),
	    cmocka_unit_test(test_reply),
	    cmocka_unit_test(test_callit_reply),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
