/* SPDX-License-Identifier: BSD-2-Clause */
#include "listing.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	WORDS_LEN = 256 /* bytes of a list of versions */
};

/* Return the name of a protocol, or its number until the next call. */
static const char *
netid_of(uint32_t prot)
{
	static char number[16];

	if (prot == IPPROTO_TCP)
		return ("tcp");
	if (prot == IPPROTO_UDP)
		return ("udp");
	snprintf(number, sizeof(number), "%" PRIu32, prot);
	return (number);
}

static void
print(const struct mapping *m)
{
	const struct rpcent *service = getrpcbynumber((int)m->prog);

	printf("%10" PRIu32 "%5" PRIu32 "%6s%7" PRIu32, m->prog, m->vers,
	    netid_of(m->prot), m->port);
	if (service != NULL)
		printf("  %s", service->r_name);
	putchar('\n');
}

void
listing_ports(const struct client_mappings *list)
{
	puts("   program vers proto   port  service");
	for (size_t i = 0; i < list->count; i++)
		print(&list->entries[i]);
}

static const char *
name_of(uint32_t prog)
{
	const struct rpcent *entry = getrpcbynumber((int)prog);

	return (entry == NULL ? "-" : entry->r_name);
}

/* Version 2 knows no owner and no address. */
void
listing_addresses(const struct client_mappings *list)
{
	char address[32];

	puts("   program version netid     address                service    "
	     "owner");
	for (size_t i = 0; i < list->count; i++) {
		const struct mapping *m = &list->entries[i];

		snprintf(address, sizeof(address), "0.0.0.0.%u.%u",
		    m->port >> 8, m->port & 0xff);
		printf("%10" PRIu32 "%5" PRIu32
		       "    %-9s %-22s %-10s unknown\n",
		    m->prog, m->vers, netid_of(m->prot), address,
		    name_of(m->prog));
	}
}

/* Prepend a word to a list of words with commas, unless it is in it. */
static void
prepend(char list[WORDS_LEN], const char *word)
{
	size_t len = strlen(word), n;
	char rest[WORDS_LEN];

	for (const char *p = list; *p != '\0'; p += n + (p[n] == ',')) {
		n = strcspn(p, ",");
		if (n == len && memcmp(p, word, n) == 0)
			return;
	}
	memcpy(rest, list, sizeof(rest));
	snprintf(list, WORDS_LEN, "%s%s%.*s", word, rest[0] == '\0' ? "" : ",",
	    (int)(WORDS_LEN - len - 2), rest);
}

static bool
was_before(const struct client_mappings *list, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (list->entries[j].prog == list->entries[i].prog)
			return (true);
	return (false);
}

/* One line for each program. */
void
listing_summary(const struct client_mappings *list)
{
	puts("   program version(s) netid(s)                         service  "
	     "   owner");
	for (size_t i = 0; i < list->count; i++) {
		char versions[WORDS_LEN] = "", netids[WORDS_LEN] = "";
		char number[16];

		if (was_before(list, i))
			continue;
		for (size_t j = i; j < list->count; j++) {
			const struct mapping *m = &list->entries[j];

			if (m->prog != list->entries[i].prog)
				continue;
			snprintf(number, sizeof(number), "%" PRIu32, m->vers);
			prepend(versions, number);
			prepend(netids, netid_of(m->prot));
		}
		printf("%10" PRIu32 "  %-10s%-32s %-11s unknown\n",
		    list->entries[i].prog, versions, netids,
		    name_of(list->entries[i].prog));
	}
}
