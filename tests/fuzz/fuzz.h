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

/* The table that the service answers from: the mapper's own entries only. */
struct table *fuzz_table(void);
void fuzz_reset_table(void);

/* Start the service, once, without a door; what it logs goes nowhere. */
void fuzz_start(void);

/*
 * A connection at the local door as this uid: the client's end, with *fd the
 * daemon's.
 */
int fuzz_connect(uid_t uid, int *fd);

/* Let the daemon do all that it can do for one connection. */
void fuzz_turn(int fd);

/* Is this descriptor still one of the daemon's connections? */
int fuzz_is_served(int fd);

#endif
