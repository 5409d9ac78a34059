/* SPDX-License-Identifier: BSD-2-Clause */
#include "holder.h"

#include <stddef.h>

#include "ifaddr.h"
#include "peer.h"
#include "sockdiag.h"

static unsigned lookups_left;

void
holder_begin(unsigned lookups)
{
	lookups_left = lookups;
}

/*
 * Get the i-th address to look at: 127.0.0.1; 127.0.1.1, to which Debian maps
 * the name of the host; then those of the interfaces.
 */
static bool
get_address(size_t i, struct in_addr *addr, int *ifindex)
{
	static const in_addr_t loopback[] = {INADDR_LOOPBACK, 0x7f000101};
	const size_t n = sizeof(loopback) / sizeof(*loopback);

	if (i >= n)
		return (ifaddr_get(i - n, addr, ifindex));
	addr->s_addr = htonl(loopback[i]);
	*ifindex = PEER_LO;
	return (true);
}

struct port_use
holder_find(uint32_t prot, uint32_t port, uid_t user)
{
	struct port_use use = {.known = true};
	struct in_addr addr;
	int ifindex;
	bool found = false;
	uid_t uid;

	for (size_t i = 0; !found && get_address(i, &addr, &ifindex); i++) {
		if (i > 1 && addr.s_addr == htonl(INADDR_LOOPBACK))
			continue;
		if (lookups_left == 0)
			return ((struct port_use){.known = false});
		lookups_left--;
		switch (sockdiag_exact(prot, addr, ifindex, port, &uid)) {
		case PORT_UNKNOWN:
			return ((struct port_use){.known = false});
		case PORT_FREE:
			continue;
		case PORT_BOUND:
			use.bound = true;
			use.by_root |= uid == UID_ROOT;
			/* no socket has UID_UNKNOWN */
			use.by_user |= uid == user;
			found = use.by_user || user == UID_UNKNOWN;
		}
	}
	return (use);
}
