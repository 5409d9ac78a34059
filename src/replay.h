/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdio.h>

#include "table.h"

/* The first line of a journal, before the name of the boot that it is of. */
#define REPLAY_HEADER "portmap journal 1 boot="

/*
 * Do again to the table what the journal says was done to it; journal.h has
 * its form.  Lines that do not parse, or would break a rule, are skipped, and
 * logged.  NULL, or why nothing of it is believed: "format", or "boot" when it
 * is of another boot than this.
 */
const char *replay(FILE *, const char *boot, struct table *);

#endif
