/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <stdlib.h>

#include "record.h"

enum {
	MAX = 9000
};

static size_t
put_fragment(uint8_t *at, size_t n, bool last, uint8_t first)
{
	at[0] = (uint8_t)(last ? 0x80 : 0);
	at[1] = (uint8_t)(n >> 16);
	at[2] = (uint8_t)(n >> 8);
	at[3] = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		at[4 + i] = (uint8_t)(first + i);
	return (4 + n);
}

static void
test_in_place(void **state)
{
	struct record r = {0};
	uint8_t in[200];
	const uint8_t *body;
	size_t n, used, len;

	(void)state;
	n = put_fragment(in, 56, true, 1);
	n += put_fragment(in + n, 40, true, 7);
	assert_int_equal(
	    record_feed(&r, MAX, in, n, &used, &body, &len), RECORD_WHOLE);
	assert_int_equal(used, 60);
	assert_int_equal(len, 56);
	assert_ptr_equal(body, in + 4);
	assert_null(r.body);
	assert_int_equal(
	    record_feed(&r, MAX, in + used, n - used, &used, &body, &len),
	    RECORD_WHOLE);
	assert_int_equal(len, 40);
	assert_null(r.body);
}

/* A record in whatever fragments, arriving in whatever pieces. */
static void
test_any_fragments_in_any_pieces(void **state)
{
	static uint8_t in[5 * MAX];

	(void)state;
	srand(1);
	for (int round = 0; round < 3000; round++) {
		struct record r = {0};
		size_t total = (size_t)rand() % 600 + 1, done = 0, n = 0;
		const uint8_t *body = NULL;
		size_t at = 0, used, len = 0;
		enum record_state state_now = RECORD_MORE;

		while (done < total) {
			size_t take = (size_t)rand() % (total - done) + 1;

			n += put_fragment(
			    in + n, take, done + take == total, (uint8_t)done);
			done += take;
		}
		while (state_now == RECORD_MORE && at < n) {
			size_t piece = (size_t)rand() % 40 + 1;

			if (piece > n - at)
				piece = n - at;
			state_now = record_feed(
			    &r, MAX, in + at, piece, &used, &body, &len);
			at += used;
		}
		assert_int_equal(state_now, RECORD_WHOLE);
		assert_int_equal(at, n);
		assert_int_equal(len, total);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(body[i], (uint8_t)i);
		record_done(&r);
		assert_null(r.body);
	}
}

static void
test_holds_what_came_not_what_was_announced(void **state)
{
	struct record r = {0};
	uint8_t in[64];
	const uint8_t *body;
	size_t used, len;

	(void)state;
	put_fragment(in, 50, true, 0);
	in[2] = 0x20; /* announces 8242 */
	assert_int_equal(
	    record_feed(&r, MAX, in, 10, &used, &body, &len), RECORD_MORE);
	assert_int_equal(r.len, 6);
	assert_true(r.room <= 256);
	record_done(&r);
	assert_int_equal(r.len, 6);
	record_reset(&r);
	assert_null(r.body);
}

static void
test_bad(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t n;
	} cases[] = {
	    {{0, 0, 0, 0}, 4}, {{0x7f, 0xff, 0xff, 0xff}, 4},
	    {{0xff, 0xff, 0xff, 0xff}, 4},
	    {{0x80, 0, 0x23, 0x29}, 4},      /* 9001 */
	    {{0, 0, 0, 1, 'x', 0, 0, 0}, 8}, /* ...and then more */
	};
	const uint8_t *body;
	size_t used, len;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct record r = {0};
		enum record_state s = record_feed(
		    &r, MAX, cases[i].bytes, cases[i].n, &used, &body, &len);

		if (i == 4) {
			static const uint8_t zero[1];

			assert_int_equal(s, RECORD_MORE);
			s = record_feed(&r, MAX, zero, 1, &used, &body, &len);
		}
		assert_int_equal(s, RECORD_BAD);
		record_reset(&r);
	}
}

static void
test_the_sum_of_fragments_is_bounded(void **state)
{
	static uint8_t in[2 * MAX];
	struct record r = {0};
	const uint8_t *body;
	size_t used, len, n;

	(void)state;
	n = put_fragment(in, MAX - 1, false, 0);
	assert_int_equal(
	    record_feed(&r, MAX, in, n, &used, &body, &len), RECORD_MORE);
	assert_true(r.room <= MAX);
	n = put_fragment(in, 2, true, 0);
	assert_int_equal(
	    record_feed(&r, MAX, in, n, &used, &body, &len), RECORD_BAD);
	record_reset(&r);

	n = put_fragment(in, MAX - 1, false, 0);
	n += put_fragment(in + n, 1, true, 0);
	assert_int_equal(
	    record_feed(&r, MAX, in, n, &used, &body, &len), RECORD_WHOLE);
	assert_int_equal(len, MAX);
	record_reset(&r);
}

static void
test_out_of_memory(void **state)
{
	struct record r = {0};
	uint8_t in[64];
	const uint8_t *body;
	size_t used, len;

	(void)state;
	put_fragment(in, 50, true, 0);
	wrap_fail("realloc", 1, ENOMEM);
	assert_int_equal(
	    record_feed(&r, MAX, in, 20, &used, &body, &len), RECORD_BAD);
	record_reset(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in_place),
	    cmocka_unit_test(test_any_fragments_in_any_pieces),
	    cmocka_unit_test(test_holds_what_came_not_what_was_announced),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_the_sum_of_fragments_is_bounded),
	    cmocka_unit_test_teardown(test_out_of_memory, wrap_teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
