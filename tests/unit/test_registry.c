/* SPDX-License-Identifier: BSD-2-Clause */
/* The registry without RPC, file and sock_diag: no port is known as free. */
#include "wrap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "log.h"
#include "loop.h"
#include "registry.h"
#include "sockdiag.h"

enum {
	PROG = 300100,
	ENTRIES = 2000
};

static struct slot slots[TABLE_SLOTS];
static struct table *table;

static struct peer
caller(enum origin origin, uid_t uid)
{
	return ((struct peer){.origin = origin, .uid = uid});
}

static enum verdict
set(struct peer *peer, uint32_t prog, uint32_t port)
{
	struct mapping m = {.prog = prog,
	    .vers = 1,
	    .prot = IPPROTO_UDP,
	    .port = port,
	    .owner = UID_ROOT}; /* the registry must overwrite it */

	return (registry_set(peer, &m));
}

static int
setup(void **state)
{
	(void)state;
	log_detach();
	memset(slots, 0, sizeof(slots));
	if ((table = table_new(1, slots)) == NULL)
		return (-1);
	return (registry_open(table, PMAP_PORT, false));
}

static int
teardown(void **state)
{
	(void)state;
	wrap_reset();
	free(table);
	return (0);
}

static void
test_the_network_changes_nothing(void **state)
{
	struct peer network = caller(ORIGIN_NETWORK, UID_UNKNOWN);
	struct peer root = caller(ORIGIN_LOCAL, UID_ROOT);
	uint64_t refused = counters.refused[VERDICT_DENY_ORIGIN];

	(void)state;
	assert_int_equal(set(&network, PROG, 5000), VERDICT_DENY_ORIGIN);
	assert_int_equal(table_count(table), TABLE_SELF);
	assert_int_equal(set(&root, PROG, 5000), VERDICT_OK);
	assert_int_equal(
	    registry_unset(&network, PROG, 1, 0), VERDICT_DENY_ORIGIN);
	assert_int_equal(
	    registry_unset(&network, PROG + 1, 1, 0), VERDICT_DENY_ORIGIN);
	assert_int_equal(table_count(table), TABLE_SELF + 1);
	assert_int_equal(counters.refused[VERDICT_DENY_ORIGIN], refused + 3);
}

static void
test_owners(void **state)
{
	struct peer root = caller(ORIGIN_LOCAL, UID_ROOT);
	struct peer user = caller(ORIGIN_LOCAL, 1000);
	struct peer other = caller(ORIGIN_LOCAL, 1001);

	(void)state;
	assert_int_equal(set(&user, PROG, 5000), VERDICT_OK);
	assert_int_equal(
	    table_lookup(table, PROG, 1, IPPROTO_UDP)->owner, 1000);
	assert_int_equal(set(&user, PROG, 5000), VERDICT_UNCHANGED);
	assert_int_equal(set(&user, PROG, 5001), VERDICT_OK);
	assert_int_equal(set(&other, PROG, 5001), VERDICT_DENY_BUSY);
	assert_int_equal(
	    registry_unset(&other, PROG, 1, 0), VERDICT_DENY_OWNER);
	assert_int_equal(set(&root, PROG, 5002), VERDICT_OK);
	assert_int_equal(registry_unset(&user, PROG, 1, 0), VERDICT_DENY_OWNER);
	assert_int_equal(registry_unset(&root, PROG, 1, 0), VERDICT_OK);
	assert_int_equal(registry_unset(&other, PROG, 1, 0), VERDICT_OK);
	assert_int_equal(
	    registry_unset(&root, PMAP_PROG, 2, 0), VERDICT_DENY_SELF);
}

/* The other protocol may belong to another user. */
static void
test_unset_of_one_protocol(void **state)
{
	struct peer user = caller(ORIGIN_LOCAL, 1000);
	const struct mapping udp = {PROG, 1, IPPROTO_UDP, 5000, 1000};
	const struct mapping tcp = {PROG, 1, IPPROTO_TCP, 5000, 1001};

	(void)state;
	table_put(table, &udp);
	table_put(table, &tcp);
	assert_int_equal(
	    registry_unset(&user, PROG, 1, IPPROTO_TCP), VERDICT_DENY_OWNER);
	assert_int_equal(table_count(table), TABLE_SELF + 2);
	assert_int_equal(
	    registry_unset(&user, PROG, 1, IPPROTO_UDP), VERDICT_OK);
	assert_null(table_lookup(table, PROG, 1, IPPROTO_UDP));
	assert_non_null(table_lookup(table, PROG, 1, IPPROTO_TCP));
	table_put(table, &udp);
	assert_int_equal(registry_unset(&user, PROG, 1, 0), VERDICT_OK);
	assert_null(table_lookup(table, PROG, 1, IPPROTO_UDP));
	assert_non_null(table_lookup(table, PROG, 1, IPPROTO_TCP));
}

/* Without sock_diag no port is known to be free, so no entry is stale. */
static void
test_sweep_keeps_what_is_unknown(void **state)
{
	struct peer root = caller(ORIGIN_LOCAL, UID_ROOT);

	(void)state;
	assert_int_equal(set(&root, PROG, 5000), VERDICT_OK);
	registry_sweep();
	assert_non_null(table_lookup(table, PROG, 1, IPPROTO_UDP));
}

static int64_t
tick(int64_t now)
{
	int64_t next = registry_tick(now);

	if (next != INT64_MAX)
		return (next);
	loop_stop();
	return (now);
}

/* HUP, and HUP again before all entries were looked up. */
static void
test_a_sweep_that_begins_again(void **state)
{
	struct peer root = caller(ORIGIN_LOCAL, UID_ROOT);
	long allocated;

	(void)state;
	for (uint32_t i = 0; i < ENTRIES; i++)
		assert_int_equal(set(&root, PROG + i, 5000), VERDICT_OK);
	allocated = wrap_allocated();
	registry_sweep();
	registry_sweep();
	loop_run(tick);
	assert_int_equal(wrap_allocated(), allocated);
	assert_int_equal(table_count(table), ENTRIES + TABLE_SELF);
}

/*
 * No entry goes while a search has failed, or found a socket, which is bound to
 * another address of lo than 127.0.0.1.
 */
static void
test_a_sweep_that_fails(void **state)
{
	struct peer root = caller(ORIGIN_LOCAL, UID_ROOT);
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr = {htonl(0x7f000005)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	need_loopback();
	if (sockdiag_open() == -1)
		skip(); /* qemu-user has none */
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(set(&root, PROG, 1), VERDICT_OK);
	assert_int_equal(set(&root, PROG + 1, ntohs(sin.sin_port)), VERDICT_OK);
	for (int nth = 1; nth <= 3; nth++) {
		/* from the glance on, or the search for one family */
		wrap_fail("recv", nth, ENOBUFS);
		registry_sweep();
		wrap_reset();
		assert_int_equal(table_count(table), TABLE_SELF + 2);
	}
	registry_sweep();
	assert_int_equal(table_count(table), TABLE_SELF + 1);
	assert_non_null(table_lookup(table, PROG + 1, 1, IPPROTO_UDP));
	close(fd);
	registry_sweep();
	assert_int_equal(table_count(table), TABLE_SELF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_the_network_changes_nothing),
	    T(test_owners),
	    T(test_unset_of_one_protocol),
	    T(test_sweep_keeps_what_is_unknown),
	    T(test_a_sweep_that_begins_again),
	    T(test_a_sweep_that_fails),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
