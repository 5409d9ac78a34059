/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service replies to a CALLIT that was forwarded. */
#include "fuzz.h"

#include <stdlib.h>

#include "wire.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[WIRE_RECORD_MAX + 64];
	const uint8_t *results = NULL;
	uint8_t *copy;
	size_t len = 0, n;
	uint32_t xid = 0;

	if (size > WIRE_RECORD_MAX || (copy = malloc(size + 1)) == NULL)
		return (0);
	memcpy(copy, data, size);
	if (size >= 4) /* the right xid, or nothing much happens */
		xid = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
		      (uint32_t)data[2] << 8 | data[3];
	if (wire_reply(copy, size, xid, &results, &len) == REPLY_SUCCESS) {
		CHECK(results >= copy + WIRE_REPLY_HEAD);
		CHECK(results + len == copy + size && len % 4 == 0);
		n = wire_callit_reply(1, 2, results, len, out, 400);
		CHECK(n == (32 + len <= 400 ? 32 + len : 0));
	}
	free(copy);
	return (0);
}
