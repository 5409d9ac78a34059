/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STATS_H
#define STATS_H

#include <stdint.h>

#include "pmap.h"

/* What the daemon has done since it started; USR2 logs it. */
struct stats {
	uint64_t calls[DOORS][PROCS]; /* by door and procedure */
	uint64_t refused[WHYS];       /* SET and UNSET, by reason */
	uint64_t callits[CALLITS];    /* by what became of them */
	uint64_t garbage;  /* what was no call, or one that is not served */
	uint64_t shut;     /* sources that -a does not let in */
	uint64_t too_long; /* answers longer than their question */
	uint64_t evicted;  /* connections closed to make room */
	uint64_t idle;     /* connections closed for being idle */
	uint64_t lost;     /* answers that the network did not take */
};

extern struct stats stats;

#endif
