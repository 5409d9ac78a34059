/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces and their addresses.  The kernel tells of changes on a netlink
 * socket, and then all of them are read anew; when that fails, what was known
 * stays.  Needs no privileges.
 */
#include "links.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "log.h"
#include "loop.h"

struct link {
	struct in_addr addr;
	struct in_addr mask;
	int ifindex;
};

static struct link *links;
static size_t links_count;
static int events_fd = -1;

static bool
to_link(const struct ifaddrs *i, struct link *link)
{
	const struct sockaddr_in *addr = (const void *)i->ifa_addr;
	const struct sockaddr_in *mask = (const void *)i->ifa_netmask;
	char name[IF_NAMESIZE] = "";

	if (addr == NULL || addr->sin_family != AF_INET || mask == NULL)
		return (false);
	/* an address may have a label, which begins with the name */
	strncpy(name, i->ifa_name, sizeof(name) - 1);
	name[strcspn(name, ":")] = '\0';
	link->addr = addr->sin_addr;
	link->mask = mask->sin_addr;
	link->ifindex = (int)if_nametoindex(name);
	return (link->ifindex != 0);
}

static int
read_links(void)
{
	struct ifaddrs *all, *i;
	struct link *fresh;
	size_t count = 0;

	if (getifaddrs(&all) == -1)
		return (-1);
	for (i = all; i != NULL; i = i->ifa_next)
		count++;
	if ((fresh = calloc(count + 1, sizeof(*fresh))) != NULL) {
		count = 0;
		for (i = all; i != NULL; i = i->ifa_next)
			if (to_link(i, &fresh[count]))
				count++;
		free(links);
		links = fresh;
		links_count = count;
	}
	freeifaddrs(all);
	return (fresh == NULL ? -1 : 0);
}

/* Something has changed.  What exactly may have been lost: read it all. */
static void
on_event(int fd)
{
	char event[8192];

	while (recv(fd, event, sizeof(event), MSG_DONTWAIT) > 0 ||
	       errno == ENOBUFS)
		;
	if (read_links() == -1)
		log_trouble("interfaces", errno);
}

int
links_open(void)
{
	const struct sockaddr_nl addr = {.nl_family = AF_NETLINK,
	    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};

	events_fd = socket(
	    AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (events_fd == -1)
		return (-1);
	if (bind(events_fd, (const struct sockaddr *)&addr, sizeof(addr)) ==
		-1 ||
	    read_links() == -1) {
		links_close();
		return (-1);
	}
	loop_watch(events_fd, on_event, NULL);
	return (0);
}

void
links_close(void)
{
	if (events_fd != -1) {
		loop_watch(events_fd, NULL, NULL);
		close(events_fd);
		events_fd = -1;
	}
	free(links);
	links = NULL;
	links_count = 0;
}

bool
links_own(struct in_addr addr)
{
	for (size_t i = 0; i < links_count; i++)
		if (links[i].addr.s_addr == addr.s_addr)
			return (true);
	return (false);
}

bool
links_attached(struct in_addr addr, int ifindex)
{
	for (size_t i = 0; i < links_count; i++)
		if (links[i].ifindex == ifindex &&
		    ((addr.s_addr ^ links[i].addr.s_addr) &
			links[i].mask.s_addr) == 0)
			return (true);
	return (false);
}
