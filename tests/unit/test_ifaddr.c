/* SPDX-License-Identifier: BSD-2-Clause */
/* Interfaces and addresses of this test; the netlink socket is a real one. */
#include "wrap.h"

#include <ifaddrs.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netpacket/packet.h>

#include "ifaddr.h"
#include "log.h"
#include "loop.h"

static struct ifaddrs list[16];
static struct sockaddr_ll links[LENGTH(list)];
static struct sockaddr_in addrs[LENGTH(list)], masks[LENGTH(list)];
static size_t count;
static loop_fn *on_event;
static int errors;

/* What ifaddr.c calls. */

int
getifaddrs(struct ifaddrs **all)
{
	for (size_t i = 0; i < count; i++)
		list[i].ifa_next = i + 1 < count ? &list[i + 1] : NULL;
	*all = count > 0 ? list : NULL;
	return (0);
}

void
freeifaddrs(struct ifaddrs *all)
{
	(void)all;
}

void
loop_watch(int fd, loop_fn *on_read, loop_fn *on_write, void *arg)
{
	(void)fd;
	(void)arg;
	assert_null(on_write);
	on_event = on_read;
}

void
log_error(const char *what, int error)
{
	(void)what;
	(void)error;
	errors++;
}

static struct in_addr
addr(const char *text)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return (a);
}

static struct ifaddrs *
add_entry(const char *name)
{
	list[count] = (struct ifaddrs){.ifa_name = (char *)(uintptr_t)name};
	return (&list[count++]);
}

static void
add_link(const char *name, int ifindex)
{
	links[count] = (struct sockaddr_ll){
	    .sll_family = AF_PACKET, .sll_ifindex = ifindex};
	add_entry(name)->ifa_addr = (void *)&links[count];
}

static struct ifaddrs *
add_addr(const char *name, const char *text, const char *mask)
{
	struct ifaddrs *entry;

	addrs[count] =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = addr(text)};
	masks[count] =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = addr(mask)};
	entry = add_entry(name);
	entry->ifa_addr = (void *)&addrs[entry - list];
	entry->ifa_netmask = (void *)&masks[entry - list];
	return (entry);
}

/* The kernel lists interfaces by index, and then addresses. */
static int
setup(void **state)
{
	(void)state;
	count = 0;
	errors = 0;
	add_link("lo", 1);
	add_link("veth10", 2);
	add_link("veth1", 3);
	add_addr("lo", "127.0.0.1", "255.0.0.0");
	add_addr("veth1", "192.0.2.1", "255.255.255.0");
	add_addr("veth10", "198.51.100.1", "255.255.255.0");
	return (ifaddr_open());
}

static void
test_the_interface_of_an_address(void **state)
{
	(void)state;
	/* not that of veth10 */
	assert_true(ifaddr_on_link(addr("192.0.2.255"), 3));
	assert_false(ifaddr_on_link(addr("192.0.2.255"), 2));
	assert_false(ifaddr_on_link(addr("192.0.3.1"), 3));
	assert_true(ifaddr_on_link(addr("198.51.100.9"), 2));
	assert_false(ifaddr_on_link(addr("198.51.100.9"), 3));
}

/* Such as `ifconfig veth1:0` makes. */
static void
test_an_address_with_a_label(void **state)
{
	(void)state;
	add_addr("veth1:0", "203.0.113.1", "255.255.255.0");
	add_addr("veth:0", "10.0.0.1", "255.0.0.0");
	on_event(NULL);
	assert_true(ifaddr_on_link(addr("203.0.113.9"), 3));
	/* of no interface that there is */
	assert_false(ifaddr_is_own(addr("10.0.0.1")));
}

static void
test_entries_without_an_address(void **state)
{
	(void)state;
	add_entry("tun0"); /* of no address family */
	add_addr("lo", "192.0.2.2", "255.0.0.0")->ifa_netmask = NULL;
	add_addr("lo", "192.0.2.3", "255.0.0.0")->ifa_addr->sa_family =
	    AF_INET6;
	on_event(NULL);
	assert_false(ifaddr_is_own(addr("192.0.2.2")));
	assert_false(ifaddr_is_own(addr("192.0.2.3")));
	assert_true(ifaddr_is_own(addr("198.51.100.1")));
}

/* The queue of the socket was full, and it has no event now. */
static void
test_events_that_are_lost(void **state)
{
	(void)state;
	add_addr("lo", "203.0.113.1", "255.255.255.0");
	assert_false(ifaddr_is_own(addr("203.0.113.1")));
	wrap_fail_once("recv", ENOBUFS);
	on_event(NULL);
	assert_true(ifaddr_is_own(addr("203.0.113.1")));
	count--;
	wrap_fail_once("recv", ENOBUFS);
	on_event(NULL);
	assert_false(ifaddr_is_own(addr("203.0.113.1")));
	assert_int_equal(errors, 0);
}

static void
test_a_list_that_cannot_be_read(void **state)
{
	static const char *const functions[] = {"getifaddrs", "calloc"};

	(void)state;
	count--;
	for (int i = 0; i < (int)LENGTH(functions); i++) {
		wrap_fail_once(functions[i], ENOMEM);
		on_event(NULL);
		assert_int_equal(errors, i + 1);
		assert_true(ifaddr_is_own(addr("198.51.100.1")));
	}
	on_event(NULL);
	assert_false(ifaddr_is_own(addr("198.51.100.1")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, wrap_teardown)
	    T(test_the_interface_of_an_address),
	    T(test_an_address_with_a_label),
	    T(test_entries_without_an_address),
	    T(test_events_that_are_lost),
	    T(test_a_list_that_cannot_be_read),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
