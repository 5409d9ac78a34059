/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef IFADDR_H
#define IFADDR_H

#include <stdbool.h>

#include <netinet/in.h>

/*
 * The IPv4 addresses of this host and the networks of its interfaces.  The list
 * is read at start and after each change, so lookups cost no system call.
 */

/* Read the list, and watch for changes.  Return 0, or -1 with errno. */
int ifaddr_open(void);

/* Return true for an address of this host. */
bool ifaddr_is_own(struct in_addr);

/* Return true if the address is on a network of the interface `ifindex`. */
bool ifaddr_on_link(struct in_addr, int ifindex);

#endif
