/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WORD_H
#define WORD_H

#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>

/* The unit of XDR, RFC 4506 section 3, wherever it may lie in memory. */
static inline uint32_t
word_at(const void *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return (ntohl(word));
}

static inline void
word_put(void *p, uint32_t word)
{
	word = htonl(word);
	memcpy(p, &word, sizeof(word));
}

#endif
