/* SPDX-License-Identifier: BSD-2-Clause */
/* The invariant of a struct record between two calls of record_feed(). */
#ifndef PROVE_RECORD_STATE_H
#define PROVE_RECORD_STATE_H

#include "prove.h"
#include "record.h"
#include "wire.h"

static bool
holds(const struct record *r)
{
	return (r->len <= r->room && r->room <= WIRE_RECORD_MAX &&
		r->left <= WIRE_RECORD_MAX - r->len && r->mark_len < 4 &&
		(r->left == 0 || r->mark_len == 0) &&
		(r->room == 0 || r->room >= 256) &&
		(r->body == NULL) == (r->room == 0));
}

static struct record
any_record(void)
{
	struct record r;

	r.body = NULL;
	r.room = any_size(0, WIRE_RECORD_MAX);
	r.last = nondet_bool();
	if (r.room > 0)
		r.body = any_bytes(r.room);
	ASSUME(holds(&r));
	return (r);
}

#endif
