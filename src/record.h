/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Record marking (RFC 5531 section 11): a stream of bytes cut into records,
 * each of one or more fragments.  Zero is the state between two records.
 */
struct record {
	uint8_t *body; /* of the fragments so far; NULL while there is none */
	size_t len;
	size_t room;
	uint32_t left;   /* bytes of the current fragment still to come */
	bool last;       /* the current fragment is the record's last */
	uint8_t mark[4]; /* a fragment's head, as far as it is there */
	unsigned mark_len;
};

enum record_state {
	RECORD_MORE,  /* all was taken in, the record goes on */
	RECORD_WHOLE, /* here is one */
	RECORD_BAD,   /* too long, an empty fragment, or out of memory */
};

/*
 * Take in some of the `n` bytes at `in`, at most one record; *used says how
 * many.  A whole record is at *body and *len until the next call or
 * record_reset(): in place where it could stay there, else in a buffer that
 * holds what has arrived, never what was announced, and at most `max` bytes.
 */
enum record_state record_feed(struct record *, size_t max, const uint8_t *in,
    size_t n, size_t *used, const uint8_t **body, size_t *len);

/* Free a whole record that has been answered; one that goes on stays. */
void record_settle(struct record *);

/* Forget what was taken in, and free it. */
void record_reset(struct record *);

#endif
