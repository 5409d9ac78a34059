/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef NETS_H
#define NETS_H

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>

/* A list of IPv4 networks: who may query at the network door (-a). */
struct net {
	struct in_addr addr;
	struct in_addr mask;
};

struct nets {
	struct net *net;
	size_t count;
};

/*
 * Read "ADDR/LEN", or "ADDR" for one host.  NULL when that is well-formed,
 * else what is wrong with it.
 */
const char *nets_parse(const char *text, struct net *);

/* Add one network: 0, or -1 when out of memory. */
int nets_add(struct nets *, const struct net *);

/* Is the address in one of them? */
bool nets_has(const struct nets *, struct in_addr);

#endif
