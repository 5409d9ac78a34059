/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addrfilt_match() is true for exactly the addresses of the networks in the
 * list, and for none if it is empty.
 *
 * Bound: lists of up to four networks.
 * Run: src/addrfilt.c --unwind 6
 */
#include "prove.h"
#include "addrfilt.h"

enum {
	NETS_MAX = 4
};

static bool
is_in(const struct addrfilt_net *net, struct in_addr addr)
{
	return (((addr.s_addr ^ net->addr.s_addr) & net->mask.s_addr) == 0);
}

void
prove(void)
{
	struct addrfilt_net nets[NETS_MAX];
	struct addrfilt filter = {nets, any_size(0, NETS_MAX)};
	struct in_addr addr = {nondet_u32()};
	bool in = false;

	for (size_t i = 0; i < NETS_MAX; i++) {
		/* addrfilt_parse() accepts no others */
		ASSUME((nets[i].addr.s_addr & ~nets[i].mask.s_addr) == 0);
		if (i < filter.count)
			in |= is_in(&nets[i], addr);
	}
	PROVE(addrfilt_match(&filter, addr) == in);
	if (filter.count == NETS_MAX && in)
		REACHED("a match in a full list");
	if (filter.count == NETS_MAX && !in)
		REACHED("no match in a full list");
}
