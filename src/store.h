/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STORE_H
#define STORE_H

#include <stdint.h>
#include <sys/types.h>

#include "table.h"

/*
 * What survives the process: the file `mappings` in the run directory, which
 * has the slots of the table and is mapped into memory, so that a change of a
 * slot is a change of the file.  It begins with a line of 64 bytes that names
 * its format and the boot for which it is valid.
 */

#define STORE_FORMAT "portmap 2 "
enum {
	STORE_HEAD = 64 /* bytes of that line, which STORE_FORMAT begins */
};

/*
 * Map the file in the run directory `dir_fd`, or create it, and return its
 * slots.  It is trusted if only root or the user `uid`, as whom portmap will
 * run, can have written it, and in this boot.  If there is no directory
 * (-1) or no file can be created, the slots are in memory only.  There is a
 * warning if anything is wrong; lack of memory is fatal.
 */
struct slot *store_open(int dir_fd, uid_t uid);

/*
 * Warn if the file was truncated.  `now` is not used; return INT64_MAX.
 */
int64_t store_tick(int64_t now);

#endif
