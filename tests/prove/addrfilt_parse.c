/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addrfilt_parse() accepts an address, or an address, a slash and a length from
 * 0 to 32 without leading zeros, whose host bits are 0.  It stores the address
 * and the mask of that length.
 *
 * Bound: texts of up to 19 characters; the longest network has 18.
 * Run: src/addrfilt.c --unwind 34
 */
#include <string.h>

#include "prove.h"
#include "addrfilt.h"

enum {
	TEXT_MAX = 19
};

static char text[TEXT_MAX + 1];
static size_t addr_len; /* of the text before the slash */
static bool is_address;
static uint32_t address; /* what the text before the slash means */

/* A model: it accepts any text that can be an address, as any number. */
int
inet_pton(int family, const char *from, void *to)
{
	PROVE(family == AF_INET);
	PROVE(strlen(from) == addr_len);
	for (size_t i = 0; i < addr_len; i++)
		PROVE(from[i] == text[i]);
	if (is_address)
		((struct in_addr *)to)->s_addr = htonl(address);
	return (is_address);
}

/* The length after a slash, or -1. */
static int
spec_length(const char *p)
{
	if (p[0] < '0' || p[0] > '9')
		return (-1);
	if (p[1] == '\0')
		return (p[0] - '0');
	if (p[0] == '0' || p[1] < '0' || p[1] > '9' || p[2] != '\0')
		return (-1);
	return ((p[0] - '0') * 10 + p[1] - '0');
}

void
prove(void)
{
	struct addrfilt_net net;
	uint32_t mask, addr;
	int len = 32;
	bool good;

	HAVOC(text);
	text[TEXT_MAX] = '\0';
	while (text[addr_len] != '\0' && text[addr_len] != '/')
		addr_len++;
	is_address = nondet_bool();
	ASSUME(!is_address || (addr_len >= 7 && addr_len <= 15));
	address = nondet_u32();
	if (text[addr_len] == '/')
		len = spec_length(text + addr_len + 1);
	good = addrfilt_parse(text, &net) == NULL;
	if (good) {
		mask = ntohl(net.mask.s_addr);
		addr = ntohl(net.addr.s_addr);
		PROVE(is_address && len >= 0 && len <= 32);
		PROVE(addr == address);
		for (int i = 0; i < 32; i++)
			PROVE((mask >> i & 1) == (i >= 32 - len));
		PROVE((addr & ~mask) == 0);
		if (len == 0)
			REACHED("all addresses");
		if (len == 31)
			REACHED("a network of two");
	} else {
		PROVE(!is_address || len < 0 || len > 32 ||
		      (len == 0 && address != 0) ||
		      (len > 0 && address << (len - 1) << 1 != 0));
		REACHED("no network");
	}
}
