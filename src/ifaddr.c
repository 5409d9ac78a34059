/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel reports changes on an rtnetlink(7) socket, and this module then
 * reads the whole list again.  If that fails, the previous list stays.
 */
#include "ifaddr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netpacket/packet.h>

#include "log.h"
#include "loop.h"

struct ifaddr {
	struct in_addr addr;
	struct in_addr mask;
	int ifindex;
};

static struct ifaddr *ifaddrs;
static size_t ifaddrs_count;
static int events_fd = -1;

/*
 * Return the AF_PACKET entry of an interface, from `i` to before `end`, or
 * NULL. The name of an address may be a label, which begins with the name of
 * the interface and a colon.
 */
static const struct ifaddrs *
find_link(const struct ifaddrs *i, const struct ifaddrs *end, const char *name)
{
	size_t len = strcspn(name, ":");

	for (; i != end; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
		    i->ifa_addr->sa_family == AF_PACKET &&
		    strncmp(i->ifa_name, name, len) == 0 &&
		    i->ifa_name[len] == '\0')
			return (i);
	return (NULL);
}

/*
 * Convert an entry of getifaddrs(3).  Return false if it is not for IPv4.
 * Addresses come in the order of their interfaces, so the search begins at
 * `last`, the one of the last address.
 */
static bool
convert(const struct ifaddrs *all, const struct ifaddrs **last,
    const struct ifaddrs *i, struct ifaddr *to)
{
	const struct sockaddr_in *addr = (const void *)i->ifa_addr;
	const struct sockaddr_in *mask = (const void *)i->ifa_netmask;
	const struct ifaddrs *link;

	if (addr == NULL || addr->sin_family != AF_INET || mask == NULL)
		return (false);
	link = find_link(*last, NULL, i->ifa_name);
	if (link == NULL)
		link = find_link(all, *last, i->ifa_name);
	if (link == NULL)
		return (false);
	*last = link;
	to->addr = addr->sin_addr;
	to->mask = mask->sin_addr;
	to->ifindex = ((const struct sockaddr_ll *)(const void *)link->ifa_addr)
			  ->sll_ifindex;
	return (to->ifindex != 0);
}

static int
read_addresses(void)
{
	struct ifaddrs *all, *i;
	const struct ifaddrs *last;
	struct ifaddr *new;
	size_t count = 0;

	if (getifaddrs(&all) == -1)
		return (-1);
	for (i = all; i != NULL; i = i->ifa_next)
		count++;
	if ((new = calloc(count + 1, sizeof(*new))) != NULL) {
		count = 0;
		last = all;
		for (i = all; i != NULL; i = i->ifa_next)
			if (convert(all, &last, i, &new[count]))
				count++;
		free(ifaddrs);
		ifaddrs = new;
		ifaddrs_count = count;
	}
	freeifaddrs(all);
	return (new == NULL ? -1 : 0);
}

/* Read everything again, because the socket may have lost some events. */
static void
on_event(void *arg)
{
	char event[8192];

	(void)arg;
	while (recv(events_fd, event, sizeof(event), MSG_DONTWAIT) > 0 ||
	       errno == ENOBUFS)
		;
	if (read_addresses() == -1)
		log_error("interfaces", errno);
}

int
ifaddr_open(void)
{
	const struct sockaddr_nl addr = {.nl_family = AF_NETLINK,
	    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};

	events_fd = socket(
	    AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (events_fd == -1)
		return (-1);
	loop_watch(events_fd, on_event, NULL, NULL);
	return (
	    bind(events_fd, (const struct sockaddr *)&addr, sizeof(addr)) == -1
		? -1
		: read_addresses());
}

bool
ifaddr_is_own(struct in_addr addr)
{
	for (size_t i = 0; i < ifaddrs_count; i++)
		if (ifaddrs[i].addr.s_addr == addr.s_addr)
			return (true);
	return (false);
}

bool
ifaddr_on_link(struct in_addr addr, int ifindex)
{
	for (size_t i = 0; i < ifaddrs_count; i++)
		if (ifaddrs[i].ifindex == ifindex &&
		    ((addr.s_addr ^ ifaddrs[i].addr.s_addr) &
			ifaddrs[i].mask.s_addr) == 0)
			return (true);
	return (false);
}
