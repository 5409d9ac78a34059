/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of networks.  Knows no sockets and no names: addresses only. */
#include "addrfilt.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "decimal.h"

const char *
addrfilt_parse(const char *text, struct addrfilt_net *net)
{
	char addr[INET_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
	struct in_addr given;
	uint32_t len = 32;

	if (n >= sizeof(addr))
		return ("not an IPv4 network");
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET, addr, &given) != 1)
		return ("not an IPv4 network");
	if (slash != NULL && !decimal_parse_all(slash + 1, 32, &len))
		return ("the prefix length is not 0 to 32");
	net->mask.s_addr = len == 0 ? 0 : htonl(0xffffffffu << (32 - len));
	net->addr.s_addr = given.s_addr & net->mask.s_addr;
	return (net->addr.s_addr == given.s_addr ? NULL : "host bits are set");
}

int
addrfilt_add(struct addrfilt *filter, const struct addrfilt_net *net)
{
	struct addrfilt_net *nets =
	    realloc(filter->nets, (filter->count + 1) * sizeof(*nets));

	if (nets == NULL)
		return (-1);
	nets[filter->count++] = *net;
	filter->nets = nets;
	return (0);
}

bool
addrfilt_match(const struct addrfilt *filter, struct in_addr addr)
{
	for (size_t i = 0; i < filter->count; i++)
		if ((addr.s_addr & filter->nets[i].mask.s_addr) ==
		    filter->nets[i].addr.s_addr)
			return (true);
	return (false);
}
