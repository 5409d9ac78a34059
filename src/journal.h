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
 * table, written before the reply to the change.
 *
 *	portmap journal 1 boot=BOOT-ID
 *	set PROG VERS PROT PORT OWNER	OWNER is a uid, or - if unknown
 *	unset PROG VERS PROT		PROT 0 is every protocol
 *
 * A journal is trusted if only the daemon can have written it, and in the boot
 * that it names.  While it cannot be written, the daemon goes on without it,
 * logs that once, and tries again each second.
 */

/*
 * Open the journal at the absolute `path` while still privileged, so that the
 * user `uid` can write it; NULL stands for no journal.  Create its directory if
 * there is none.  If the directory is our own (`own_dir`), it and the journal
 * become that user's.  An untrusted journal is renamed.  A wrong path is
 * fatal, as is a directory of `path` that other users can write.
 */
void journal_prepare(const char *path, bool own_dir, uid_t uid, gid_t gid);

/* Return the directory of the journal, or NULL if none is kept. */
const char *journal_dir(void);

/*
 * After journal_prepare(), and as that user: read the journal into the table,
 * and write it again.  Later changes of this table are appended.
 */
void journal_load(struct table *);

/* Write a change that was made to the table. */
void journal_set(const struct mapping *);
void journal_unset(uint32_t prog, uint32_t vers, uint32_t prot);

/*
 * Try again to write the journal if it is due.  `now` in ms of CLOCK_MONOTONIC.
 * Return the time of the next call, or INT64_MAX.
 */
int64_t journal_tick(int64_t now);

#endif
