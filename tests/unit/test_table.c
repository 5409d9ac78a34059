/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <stdlib.h>

#include "table.h"

static struct mapping
entry(uint32_t prog, uint32_t vers, uint32_t prot, uint32_t port, uid_t owner)
{
	return ((struct mapping){prog, vers, prot, port, owner});
}

static size_t
count_owner(const struct table *t, uid_t uid)
{
	size_t own, of_class;

	table_tally(t, uid, &own, &of_class);
	return (own);
}

static size_t
count_class(const struct table *t, uid_t uid)
{
	size_t own, of_class;

	table_tally(t, uid, &own, &of_class);
	return (of_class);
}

static void
put(struct table *t, struct mapping m)
{
	table_put(t, &m);
}

static struct slot slots[TABLE_SLOTS];

static int
setup(void **state)
{
	memset(slots, 0, sizeof(slots));
	return ((*state = table_new(0x9e3779b97f4a7c15u, slots)) == NULL);
}

static int
teardown(void **state)
{
	free(*state);
	return (wrap_teardown(state));
}

static void
test_empty(void **state)
{
	struct table *t = *state;

	assert_null(table_first(t));
	assert_null(table_lookup(t, 1, 1, IPPROTO_UDP));
	assert_null(table_getport(t, 1, 1, IPPROTO_UDP));
	assert_null(table_first_of(t, 1));
	assert_false(table_remove(t, 1, 1, IPPROTO_UDP));
	assert_int_equal(table_count(t), 0);
}

static void
test_order_is_that_of_registration(void **state)
{
	struct table *t = *state;
	const struct mapping *m;
	uint32_t i = 0;

	for (i = 0; i < 1000; i++)
		put(t, entry(i * 7919 % 1000, i % 5, IPPROTO_TCP, i + 1, 0));
	i = 0;
	for (m = table_first(t); m != NULL; m = table_next(m))
		assert_int_equal(m->port, ++i);
	assert_int_equal(i, 1000);

	/* what is replaced is new; what is removed is missing */
	put(t, entry(7919 % 1000, 1, IPPROTO_TCP, 5000, 0));
	assert_true(table_remove(t, 0, 0, IPPROTO_TCP));
	assert_int_equal(table_first(t)->port, 3);
	for (m = table_first(t); table_next(m) != NULL; m = table_next(m))
		;
	assert_int_equal(m->port, 5000);
	assert_int_equal(table_count(t), 999);
}

static void
test_find_prefers_exact_then_root_then_first(void **state)
{
	struct table *t = *state;

	put(t, entry(9, 3, IPPROTO_UDP, 3000, 1001));
	put(t, entry(9, 4, IPPROTO_UDP, 4000, UID_UNKNOWN));
	assert_int_equal(table_getport(t, 9, 0, IPPROTO_UDP)->port, 3000);
	put(t, entry(9, 5, IPPROTO_UDP, 5000, UID_ROOT));
	put(t, entry(9, 6, IPPROTO_UDP, 6000, UID_ROOT));
	assert_int_equal(table_getport(t, 9, 0, IPPROTO_UDP)->port, 5000);
	assert_int_equal(table_getport(t, 9, 4, IPPROTO_UDP)->port, 4000);
	assert_null(table_getport(t, 9, 3, IPPROTO_TCP));
	assert_null(table_lookup(t, 9, 0, IPPROTO_UDP));
}

/* More programs than chains. */
static void
test_programs_that_share_a_chain(void **state)
{
	const uint32_t n = 16000;
	struct table *t = *state;

	for (uint32_t i = 0; i < n; i++)
		put(t, entry(i, i % 3, IPPROTO_UDP, 1 + i, 0));
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(
		    table_getport(t, i, 9, IPPROTO_UDP)->port, 1 + i);
	for (uint32_t i = 0; i < n; i += 2)
		assert_true(table_remove(t, i, i % 3, IPPROTO_UDP));
	for (uint32_t i = 0; i < n; i++) {
		const struct mapping *m = table_getport(t, i, 9, IPPROTO_UDP);

		assert_int_equal(m == NULL ? 0 : m->port, i % 2 * (1 + i));
	}
	assert_int_equal(table_count(t), n / 2);
}

static void
test_walk_of_a_program(void **state)
{
	static const struct mapping m[] = {{9, 1, IPPROTO_UDP, 1, 0},
	    {9, 2, IPPROTO_UDP, 2, 5}, {8, 1, IPPROTO_UDP, 3, 5},
	    {9, 1, IPPROTO_TCP, 4, 0}, {9, 7, IPPROTO_TCP, 5, 5}};
	struct table *t = table_new(4711, slots);
	const struct mapping *e;
	uint32_t sum = 0;

	(void)state;
	assert_null(table_first_of(t, 9));
	for (size_t i = 0; i < LENGTH(m); i++)
		table_put(t, &m[i]);
	for (e = table_first_of(t, 9); e != NULL; e = table_next_of(t, e)) {
		assert_int_equal(e->prog, 9);
		sum += 1u << e->port;
	}
	assert_int_equal(sum, 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5);
	/* one protocol only */
	e = table_first_of(t, 8);
	assert_int_equal(e->port, 3);
	assert_null(table_next_of(t, e));
	free(t);
}

static void
test_counts(void **state)
{
	struct table *t = *state;

	for (uint32_t i = 0; i < 100; i++)
		put(t,
		    entry(i, 1, IPPROTO_UDP, 5000, i % 4 ? 1000 + i % 4 : 0));
	assert_int_equal(table_count(t), 100);
	assert_int_equal(count_class(t, 1000), 75);
	assert_int_equal(count_owner(t, 1001), 25);
	assert_int_equal(count_owner(t, UID_UNKNOWN), 0);
	/* a takeover moves one from one to the other */
	put(t, entry(1, 1, IPPROTO_UDP, 5000, UID_UNKNOWN));
	assert_int_equal(count_owner(t, 1001), 24);
	assert_int_equal(count_owner(t, UID_UNKNOWN), 1);
	put(t, entry(1, 1, IPPROTO_UDP, 5000, 0));
	assert_int_equal(count_class(t, 1000), 74);
	put(t, entry(1, 1, IPPROTO_UDP, 5000, 102));
	assert_int_equal(count_class(t, 1000), 74);
	assert_int_equal(count_class(t, 999), 1);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(table_remove(t, i, 1, IPPROTO_UDP));
	assert_int_equal(table_count(t), 0);
	assert_int_equal(count_class(t, 1000), 0);
	assert_int_equal(count_owner(t, 1001), 0);
}

static bool
keep_odd(const struct table *t, const struct mapping *m)
{
	(void)t;
	return (m->port % 2 == 1);
}

static bool
keep_all(const struct table *t, const struct mapping *m)
{
	(void)t;
	(void)m;
	return (true);
}

/* Another process finds the slots, twice: what was not kept is gone then. */
static void
test_slots_outlive_the_table(void **state)
{
	struct table *t = *state;
	const struct mapping *m;
	uint32_t port;

	for (uint32_t i = 1; i <= 100; i++)
		put(t, entry(i, 1, IPPROTO_UDP, i, 1000));
	assert_true(table_remove(t, 1, 1, IPPROTO_UDP));
	put(t, entry(101, 1, IPPROTO_UDP, 101, 1000)); /* in its slot */
	/* killed between the new entry and the end of the old one */
	slots[100] = (struct slot){900, entry(3, 1, IPPROTO_UDP, 103, 1000), 1};
	/* killed before the new entry was complete */
	slots[101] = (struct slot){901, entry(4, 1, IPPROTO_UDP, 105, 1000), 0};
	for (int i = 0; i < 2; i++) {
		free(t);
		*state = t = table_new(2, slots);
		assert_int_equal(
		    table_load(t, i == 0 ? keep_odd : keep_all), 0);
		m = table_first(t);
		for (port = 5; port <= 103; port += 2) {
			assert_int_equal(m->port, port);
			m = table_next(m);
		}
		assert_null(m);
		assert_int_equal(table_count(t), 50);
	}
	/* the free slots are used, and no other */
	for (uint32_t i = 0; i < 200; i++)
		put(t, entry(1000 + i, 1, IPPROTO_TCP, 9, 0));
	assert_int_equal(table_count(t), 250);
	port = 0;
	for (m = table_first(t); m != NULL; m = table_next(m))
		port++;
	assert_int_equal(port, 250);
	assert_int_equal(slots[250].used, 0);
}

/* Whatever the order of changes, the slots have what the table has. */
static void
compare_with_slots(const struct table *t)
{
	struct table *other = table_new(3, slots);
	const struct mapping *m = table_first(t), *n;

	assert_int_equal(table_load(other, keep_all), 0);
	for (n = table_first(other); n != NULL; n = table_next(n)) {
		assert_memory_equal(m, n, sizeof(*m));
		m = table_next(m);
	}
	assert_null(m);
	free(other);
}

static void
test_a_full_table(void **state)
{
	struct table *t = *state;

	for (uint32_t i = 0; i < ENTRIES_MAX + TABLE_SELF; i++)
		put(t, entry(i + 1, 1, IPPROTO_UDP, 9, 0));
	/* there is a slot for a replacement */
	for (uint32_t i = 0; i < 3; i++)
		put(t, entry(i + 1, 1, IPPROTO_UDP, 7, 0));
	assert_int_equal(table_count(t), ENTRIES_MAX + TABLE_SELF);
	compare_with_slots(t);
}

static void
test_our_own_entries_come_first(void **state)
{
	struct table *t = *state;

	put(t, entry(7, 1, IPPROTO_UDP, 9, 0));
	put(t, entry(PMAP_PROG, 2, IPPROTO_UDP, 111, 0));
	put(t, entry(PMAP_PROG, 2, IPPROTO_TCP, 111, 0));
	assert_int_equal(table_first(t)->prot, IPPROTO_TCP);
	assert_int_equal(table_next(table_first(t))->prot, IPPROTO_UDP);
}

static void
test_load_without_memory(void **state)
{
	wrap_fail("calloc", 1, ENOMEM);
	assert_int_equal(table_load(*state, keep_all), -1);
	wrap_reset();
	assert_int_equal(table_load(*state, keep_all), 0);
}

static void
test_against_a_plain_array(void **state)
{
	struct table *t = *state;
	struct mapping model[64];
	size_t n = 0;

	srand(4711);
	for (int step = 0; step < 20000; step++) {
		struct mapping m = entry((uint32_t)rand() % 4,
		    (uint32_t)rand() % 4, rand() % 2 ? 6 : 17,
		    (uint32_t)rand() % 9 + 1, (uid_t)(rand() % 3));
		const struct mapping *walk = table_first(t);
		size_t at = 0;

		while (at < n &&
		       (model[at].prog != m.prog || model[at].vers != m.vers ||
			   model[at].prot != m.prot))
			at++;
		assert_int_equal(
		    table_lookup(t, m.prog, m.vers, m.prot) != NULL, at < n);
		if (at < n) {
			memmove(&model[at], &model[at + 1],
			    (n - at - 1) * sizeof(m));
			n--;
		}
		if (rand() % 2) {
			put(t, m);
			model[n++] = m;
		} else {
			table_remove(t, m.prog, m.vers, m.prot);
		}
		walk = table_first(t);
		for (size_t i = 0; i < n; i++, walk = table_next(walk))
			assert_memory_equal(walk, &model[i], sizeof(m));
		assert_null(walk);
		if (step % 500 == 0)
			compare_with_slots(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_empty),
	    T(test_order_is_that_of_registration),
	    T(test_find_prefers_exact_then_root_then_first),
	    T(test_programs_that_share_a_chain),
	    T(test_walk_of_a_program),
	    T(test_counts),
	    T(test_slots_outlive_the_table),
	    T(test_a_full_table),
	    T(test_our_own_entries_come_first),
	    T(test_load_without_memory),
	    T(test_against_a_plain_array),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
