/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RECORD_MARK = 4 /* bytes before each fragment */
};

/*
 * Record marking (RFC 5531 section 11): a stream of bytes cut into records,
 * each of one or more fragments.  Zero is the state between two records.
 */
struct record {
	uint8_t *body; /* of the fragments so far; NULL while there is none */
	size_t len;
	size_t room;
	uint32_t left; /* bytes of the current fragment still to come */
	bool last;     /* the current fragment is the record's last */
	uint8_t mark[RECORD_MARK]; /* a fragment's header, as far as it has
				      arrived */
	unsigned mark_len;
};

enum record_state {
	RECORD_MORE,  /* all bytes were taken in, the record is incomplete */
	RECORD_WHOLE, /* a whole record was taken in */
	RECORD_BAD,   /* too long, an empty fragment in it, or out of memory */
};

/*
 * Take in some of the `n` bytes at `in`, at most one record, and store in *used
 * how many.  A whole record is at *body and *len until the next call or
 * record_reset(): in place if possible, else in a buffer of at most `max` bytes
 * that grows with what arrives, never with what a mark announces.
 */
enum record_state record_feed(struct record *, size_t max, const uint8_t *in,
    size_t n, size_t *used, const uint8_t **body, size_t *len);

/* Free a whole record that has been served.  An incomplete one stays. */
void record_done(struct record *);

/* Free what was taken in, and return to the state between two records. */
void record_reset(struct record *);

#endif
