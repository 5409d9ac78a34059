/* SPDX-License-Identifier: BSD-2-Clause */
#include "source.h"

#include <assert.h>

static bool
is_privileged(const struct peer *peer)
{
	return (ntohs(peer->from.sin_port) < PORT_RESERVED);
}

static bool
is_same(const struct peer *a, const struct peer *b)
{
	if (a->origin != b->origin)
		return (false);
	if (a->origin == ORIGIN_LOCAL)
		return (a->uid == b->uid);
	if (pmap_is_127(a->from.sin_addr) && pmap_is_127(b->from.sin_addr))
		return (is_privileged(a) == is_privileged(b));
	return (a->from.sin_addr.s_addr == b->from.sin_addr.s_addr);
}

struct source *
source_find(struct source *sources, size_t size, const struct peer *peer)
{
	for (size_t i = 0; i < size; i++)
		if (sources[i].count > 0 && is_same(&sources[i].peer, peer))
			return (&sources[i]);
	return (NULL);
}

struct source *
source_add(struct source *sources, size_t size, const struct peer *peer)
{
	struct source *s = source_find(sources, size, peer);

	for (size_t i = 0; s == NULL && i < size; i++)
		if (sources[i].count == 0) {
			s = &sources[i];
			*s = (struct source){.peer = *peer};
		}
	assert(s != NULL); /* each thing counted has at most one source */
	s->count++;
	return (s);
}
