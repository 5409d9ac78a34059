/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records out of a stream that may arrive byte by byte.  Knows no sockets, and
 * never reads past what it is given.
 */
#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "be32.h"

enum {
	BUFFER_MIN = 256
};

static size_t
least(size_t a, size_t b)
{
	return (a < b ? a : b);
}

void
record_reset(struct record *r)
{
	free(r->body);
	*r = (struct record){0};
}

void
record_done(struct record *r)
{
	if (r->last && r->left == 0)
		record_reset(r);
}

/*
 * Begin a fragment.  Return false if it makes the record too long, or if it is
 * empty and not the last: a record could have any number of those.
 */
static bool
begin_fragment(struct record *r, size_t max)
{
	uint32_t mark = be32dec(r->mark);

	r->mark_len = 0;
	r->last = (mark & 0x80000000u) != 0;
	r->left = mark & 0x7fffffffu;
	if (r->left == 0 && !r->last)
		return (false);
	return (r->left <= max - r->len);
}

/* Append bytes to the body, in a buffer that grows with them up to `max`. */
static bool
append(struct record *r, size_t max, const uint8_t *in, size_t n)
{
	if (r->len + n > r->room) {
		size_t room = r->room == 0 ? BUFFER_MIN : r->room;
		uint8_t *body;

		while (room < r->len + n)
			room *= 2;
		room = least(room, max);
		if ((body = realloc(r->body, room)) == NULL)
			return (false);
		r->body = body;
		r->room = room;
	}
	if (n > 0)
		memcpy(r->body + r->len, in, n);
	r->len += n;
	r->left -= (uint32_t)n;
	return (true);
}

/* Return true if a whole record of one fragment is at `in`: the usual case. */
static bool
in_place(const uint8_t *in, size_t n, size_t max, size_t *len)
{
	uint32_t mark;

	if (n < RECORD_MARK)
		return (false);
	mark = be32dec(in);
	*len = mark & 0x7fffffffu;
	return ((mark & 0x80000000u) && *len <= max && *len <= n - RECORD_MARK);
}

enum record_state
record_feed(struct record *r, size_t max, const uint8_t *in, size_t n,
    size_t *used, const uint8_t **body, size_t *len)
{
	size_t at = 0;

	record_done(r); /* the previous one was served */
	if (r->len == 0 && r->mark_len == 0 && r->left == 0 &&
	    in_place(in, n, max, len)) {
		*body = in + RECORD_MARK;
		*used = RECORD_MARK + *len;
		return (RECORD_WHOLE);
	}
	while (at < n) {
		size_t take;

		if (r->left == 0) {
			r->mark[r->mark_len++] = in[at++];
			if (r->mark_len < RECORD_MARK)
				continue;
			if (!begin_fragment(r, max))
				return (RECORD_BAD);
		}
		take = least(r->left, n - at);
		if (!append(r, max, in + at, take))
			return (RECORD_BAD);
		at += take;
		if (r->left == 0 && r->last) {
			*body = r->body;
			*len = r->len;
			*used = at;
			return (RECORD_WHOLE);
		}
	}
	*used = at;
	return (RECORD_MORE);
}
