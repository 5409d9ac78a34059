/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pmap.h"
#include "table.h"

/*
 * What survives a crash: a text file with one line for each change of the
 * table, written before the change is answered.
 *
 *	portmap journal 1 boot=BOOT-ID
 *	set PROG VERS PROT PORT OWNER	OWNER is a uid, or - if not known
 *	unset PROG VERS PROT		PROT 0 is every protocol
 *
 * It is believed only when nobody but the daemon can have written it, and in
 * the boot that it was written in.  When it cannot be written, the daemon goes
 * on without it, says so once, and tries again.
 */

/*
 * While still privileged: see to the journal at `path`, to be written by this
 * user.  Its directory is made if need be; when it is the daemon's own
 * (`own_dir`) it is given to that user, with the journal in it.  A journal
 * that cannot be believed is moved aside.  NULL: no journal is kept.
 */
void journal_prepare(const char *path, bool own_dir, uid_t uid, gid_t gid);

/*
 * As that user: add what the journal holds to the table, and write it anew.
 * The table is the one that the journal is kept for from now on.
 */
void journal_load(struct table *);

/* Write one change down that the table has already seen. */
void journal_set(const struct mapping *);
void journal_unset(uint32_t prog, uint32_t vers, uint32_t prot);

/*
 * Try again to write what could not be written.  `now` in ms; returns when to
 * be called again, or INT64_MAX.
 */
int64_t journal_tick(int64_t now);

void journal_close(void);

#endif
