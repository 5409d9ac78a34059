/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ADDRFILT_H
#define ADDRFILT_H

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>

/* A list of IPv4 networks: the callers from the network that -a allows. */
struct addrfilt_net {
	struct in_addr addr;
	struct in_addr mask;
};

struct addrfilt {
	struct addrfilt_net *nets;
	size_t count;
};

/*
 * Parse "ADDR/LEN", or "ADDR" for one host.  Return NULL if that is
 * well-formed, else what is wrong with it.  If only the host bits are wrong,
 * the network is the one that they are in; else it is left as it was.
 */
const char *addrfilt_parse(const char *text, struct addrfilt_net *);

/* Add one network.  Return 0, or -1 when out of memory. */
int addrfilt_add(struct addrfilt *, const struct addrfilt_net *);

/* Return true if the address is in one of the networks. */
bool addrfilt_match(const struct addrfilt *, struct in_addr);

#endif
