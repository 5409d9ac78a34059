/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <stdlib.h>

#include <arpa/inet.h>

#include "addrfilt.h"

static bool
inside(const char *net, const char *addr)
{
	struct addrfilt nets = {0};
	struct addrfilt_net parsed;
	struct in_addr a;
	bool yes;

	assert_null(addrfilt_parse(net, &parsed));
	assert_int_equal(addrfilt_add(&nets, &parsed), 0);
	assert_int_equal(inet_pton(AF_INET, addr, &a), 1);
	yes = addrfilt_match(&nets, a);
	free(nets.nets);
	return (yes);
}

static void
test_membership(void **state)
{
	(void)state;
	assert_true(inside("192.0.2.0/24", "192.0.2.0"));
	assert_true(inside("192.0.2.0/24", "192.0.2.255"));
	assert_false(inside("192.0.2.0/24", "192.0.3.0"));
	assert_false(inside("192.0.2.0/24", "192.0.1.255"));
	assert_true(inside("192.0.2.7", "192.0.2.7"));
	assert_false(inside("192.0.2.7", "192.0.2.6"));
	assert_true(inside("192.0.2.7/32", "192.0.2.7"));
	assert_true(inside("192.0.2.6/31", "192.0.2.7"));
	assert_false(inside("192.0.2.4/31", "192.0.2.7"));
	assert_true(inside("0.0.0.0/0", "255.255.255.255"));
	assert_true(inside("128.0.0.0/1", "255.0.0.1"));
	assert_false(inside("128.0.0.0/1", "127.0.0.1"));
}

static void
test_malformed(void **state)
{
	static const char *const bad[] = {"", "/", "/8", "10/8", "10.0.0.0/",
	    "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/008",
	    "10.0.0.0/ 8", "10.0.0.1/8", "10.0.0.0.0/8", "host", "host/8",
	    "::1/8", "010.0.0.0/8", "10.0.0.0/8/8",
	    "10.0.0.0000000000000000000000/8"};
	struct addrfilt_net net;

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_non_null(addrfilt_parse(bad[i], &net));
}

static void
test_out_of_memory(void **state)
{
	struct addrfilt nets = {0};
	struct addrfilt_net net;

	(void)state;
	assert_null(addrfilt_parse("10.0.0.0/8", &net));
	assert_int_equal(addrfilt_add(&nets, &net), 0);
	wrap_fail("realloc", 1, ENOMEM);
	assert_int_equal(addrfilt_add(&nets, &net), -1);
	assert_int_equal(nets.count, 1);
	wrap_reset();
	free(nets.nets);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_membership),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test_teardown(test_out_of_memory, wrap_teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
