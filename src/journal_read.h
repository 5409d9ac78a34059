/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef JOURNAL_READ_H
#define JOURNAL_READ_H

#include <stdio.h>

#include "table.h"

/* The first line of a journal, before the id of the boot. */
#define JOURNAL_HEADER "portmap journal 1 boot="

/* Why a journal is not trusted. */
enum journal_fault {
	JOURNAL_GOOD,
	JOURNAL_BOOT,   /* of another boot, or of an unknown one */
	JOURNAL_FORMAT, /* not a journal */
	JOURNAL_TYPE,   /* not a regular file */
	JOURNAL_OWNER,  /* of another user */
	JOURNAL_MODE,   /* accessible to other users */
	JOURNAL_LINKS,  /* it has another name */
	JOURNAL_UNREAD, /* it could not be read */
	JOURNAL_FAULTS
};

/* Return the name of a fault, for the log. */
const char *journal_fault_name(enum journal_fault);

/*
 * Apply the lines of a journal to the table; journal.h has the format.  Lines
 * that are malformed, or that break a rule of policy_set(), are skipped and
 * logged.  Return JOURNAL_BOOT or JOURNAL_FORMAT if the first line is not that
 * of a journal of this boot; then the table is unchanged.  Return
 * JOURNAL_UNREAD after a read error; then the lines before it were applied.
 */
enum journal_fault journal_read(FILE *, const char *boot, struct table *);

#endif
