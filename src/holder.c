/* SPDX-License-Identifier: BSD-2-Clause */
#include "holder.h"

#include <stddef.h>

#include "ifaddr.h"
#include "loop.h"
#include "peer.h"
#include "sockdiag.h"

enum {
	LOOKUPS_MAX = 32
};

static unsigned lookups; /* since holder_begin() */

void
holder_begin(void)
{
	lookups = 0;
}

/* Get the next address of this host that is not 127.0.0.1. */
static bool
next_address(size_t *i, struct in_addr *addr, int *ifindex)
{
	while (ifaddr_get((*i)++, addr, ifindex))
		if (addr->s_addr != htonl(INADDR_LOOPBACK))
			return (true);
	return (false);
}

struct port_use
holder_find(uint32_t prot, uint32_t port, uid_t user)
{
	struct in_addr addr = {htonl(INADDR_LOOPBACK)};
	struct port_use use = {.known = true};
	int ifindex = PEER_LO;
	bool found = false;
	size_t i = 0;
	uid_t uid;

	do {
		if (lookups++ == LOOKUPS_MAX)
			return ((struct port_use){.known = false});
		switch (sockdiag_exact(prot, addr, ifindex, port, &uid)) {
		case PORT_UNKNOWN:
			return ((struct port_use){.known = false});
		case PORT_FREE:
			continue;
		case PORT_BOUND:
			use.bound = true;
			use.by_root |= uid == UID_ROOT;
			use.by_user |= uid == user && user != UID_UNKNOWN;
			found = use.by_user || user == UID_UNKNOWN;
		}
	} while (!found && next_address(&i, &addr, &ifindex));
	loop_clock(); /* this can be longer than a slice */
	return (use);
}
