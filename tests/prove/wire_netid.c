/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_netid() knows the netids of RFC 5665 section 5.1 and of libtirpc's
 * /etc/netconfig, and no other text.
 *
 * Bound: texts of up to 255 characters, as wire_rpcb() decodes them.
 * Run: src/wire.c --unwind 14
 */
#include <string.h>

#include "prove.h"
#include "wire.h"

/* The text as a number, if it is short. */
static uint64_t
packed(const char *text)
{
	uint64_t number = 0;

	for (size_t i = 0; i < 10; i++) {
		if (text[i] == '\0')
			return (number);
		if (i == 9)
			return (UINT64_MAX);
		/* netids have lower case letters and digits: 7 bits do */
		if (text[i] < 0)
			return (UINT64_MAX);
		number = number << 7 | (uint64_t)text[i];
	}
	return (UINT64_MAX);
}

static enum wire_netid
spec(const char *text)
{
	static const char *const others[] = {"tcp6", "udp6", "local", "unix",
	    "rawip", "ticlts", "ticots", "ticotsord", "sctp", "sctp6"};
	uint64_t number = packed(text);

	if (number == UINT64_MAX)
		return (NETID_UNKNOWN);
	if (number == packed(""))
		return (NETID_ANY);
	if (number == packed("tcp"))
		return (NETID_TCP);
	if (number == packed("udp"))
		return (NETID_UDP);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (number == packed(others[i]))
			return (NETID_OTHER);
	return (NETID_UNKNOWN);
}

void
prove(void)
{
	char *text = any_text(WIRE_STRING_MAX);
	enum wire_netid netid = wire_netid(text);

	PROVE(netid == spec(text));
	if (netid == NETID_UDP)
		REACHED("udp");
	if (netid == NETID_OTHER && text[8] == 'd')
		REACHED("the longest netid");
	if (netid == NETID_UNKNOWN)
		REACHED("no netid");
	free(text);
}
