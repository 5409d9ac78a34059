/* SPDX-License-Identifier: BSD-2-Clause */
/* Big-endian words, the unit of XDR (RFC 4506 section 3), at any address. */
#ifndef BE32_H
#define BE32_H

#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>

static inline uint32_t
be32dec(const void *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return (ntohl(word));
}

static inline void
be32enc(void *p, uint32_t word)
{
	word = htonl(word);
	memcpy(p, &word, sizeof(word));
}

#endif
