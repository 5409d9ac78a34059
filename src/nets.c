/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of networks.  Knows no sockets and no names: addresses only. */
#include "nets.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

const char *
nets_parse(const char *text, struct net *net)
{
	char addr[INET_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
	unsigned len = 32;

	if (n >= sizeof(addr))
		return ("not an IPv4 address");
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET, addr, &net->addr) != 1)
		return ("not an IPv4 address");
	if (slash != NULL) {
		size_t digits = strspn(slash + 1, "0123456789");

		if (digits == 0 || digits > 2 || slash[1 + digits] != '\0' ||
		    (len = (unsigned)atoi(slash + 1)) > 32)
			return ("the length after the slash is 0 to 32");
	}
	net->mask.s_addr = len == 0 ? 0 : htonl(0xffffffffu << (32 - len));
	if ((net->addr.s_addr & ~net->mask.s_addr) != 0)
		return ("the address has bits set beyond its length");
	return (NULL);
}

int
nets_add(struct nets *nets, const struct net *net)
{
	struct net *more;

	more = realloc(nets->net, (nets->count + 1) * sizeof(*more));
	if (more == NULL)
		return (-1);
	more[nets->count++] = *net;
	nets->net = more;
	return (0);
}

bool
nets_has(const struct nets *nets, struct in_addr addr)
{
	for (size_t i = 0; i < nets->count; i++)
		if ((addr.s_addr & nets->net[i].mask.s_addr) ==
		    nets->net[i].addr.s_addr)
			return (true);
	return (false);
}
