/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LINKS_H
#define LINKS_H

#include <stdbool.h>

#include <netinet/in.h>

/*
 * This host's own IPv4 addresses and the networks directly attached to it,
 * as the kernel says; kept fresh from the loop, so that asking costs nothing.
 */

/* Read them, and watch for changes: 0, or -1 with errno. */
int links_open(void);
void links_close(void);

/* Is it an address of one of our interfaces? */
bool links_own(struct in_addr);

/* Is it on a network directly attached to the interface of that index? */
bool links_attached(struct in_addr, int ifindex);

#endif
