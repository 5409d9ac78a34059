/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FUZZ_H
#define FUZZ_H

/* What the libFuzzer harnesses share. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <rpc/rpc.h>

#include "pmap.h"
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A lie is as bad as a crash. */
#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition))                                              \
			__builtin_trap();                                      \
	} while (0)

/* Return the table of the service; remove all entries but our own from it. */
struct table *fuzz_table(void);
void fuzz_reset_table(void);

/* Start the service, once, without listening; its log goes nowhere. */
void fuzz_start(void);

/*
 * Connect to the local socket as this uid.  Return the client's end, and store
 * the daemon's in *fd.
 */
int fuzz_connect(uid_t uid, int *fd);

/*
 * Run some iterations of the loop.  `fd` counts as readable in the first one,
 * if it is not -1.
 */
void fuzz_iterate(int fd);

/* Return true if this descriptor is still a connection of the daemon. */
int fuzz_is_served(int fd);

#endif
