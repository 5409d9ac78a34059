/* SPDX-License-Identifier: BSD-2-Clause */
/* The version 3 registration body, and universal addresses. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire.h"

static void
check_uaddr(const char *text)
{
	int32_t port = wire_uaddr(text);
	unsigned a, b, c, d, hi, lo;
	char again[64];

	if (port == -1)
		return;
	/* what is taken is just what would have been written */
	CHECK(port >= 0 && port <= PORT_MAX);
	CHECK(sscanf(text, "%u.%u.%u.%u.%u.%u", &a, &b, &c, &d, &hi, &lo) == 6);
	snprintf(again, sizeof(again), "%u.%u.%u.%u.%u.%u", a, b, c, d, hi, lo);
	CHECK(strcmp(text, again) == 0);
	CHECK(hi * 256 + lo == (unsigned)port && hi < 256 && lo < 256);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	struct wire_rpcb r;
	XDR xdrs;

	if (copy == NULL)
		return (0);
	memcpy(copy, data, size);
	copy[size] = '\0';
	check_uaddr(copy);
	wire_netid(copy);
	wire_authsys(copy, size);
	xdrmem_create(&xdrs, copy, (u_int)size, XDR_DECODE);
	if (wire_rpcb(&xdrs, &r)) {
		CHECK(xdr_getpos(&xdrs) <= size);
		CHECK(strlen(r.netid) <= WIRE_STRING_MAX);
		check_uaddr(r.addr);
	}
	free(copy);
	return (0);
}
