/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addrfilt_add() appends one network, or fails and keeps the list.
 *
 * Bound: lists of up to 1000 networks before.
 * Run: src/addrfilt.c --unwind 3
 */
#include "realloc.h"
#include "addrfilt.h"

void
prove(void)
{
	size_t count = any_size(0, 1000);
	struct addrfilt filter = {NULL, count};
	struct addrfilt_net net, *before;

	if (count > 0)
		filter.nets = any_bytes(count * sizeof(*filter.nets));
	before = filter.nets;
	if (addrfilt_add(&filter, &net) == 0) {
		PROVE(filter.count == count + 1);
		PROVE(filter.nets[count].addr.s_addr == net.addr.s_addr);
		PROVE(filter.nets[count].mask.s_addr == net.mask.s_addr);
		REACHED("a longer list");
	} else {
		PROVE(filter.count == count && filter.nets == before);
		REACHED("no memory");
	}
	free(filter.nets);
}
