/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream as an arbitrary sequence of chunks: the caller (1 byte), then each
 * chunk's length (1 byte) and bytes.
 */
#include "fuzz.h"

#include <unistd.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t replies[1 << 16];
	int client, fd;

	if (size < 1)
		return (0);
	fuzz_start();
	client = fuzz_connect(data[0] % 3, &fd);
	data++;
	size--;
	while (size >= 1 && fuzz_is_served(fd)) {
		size_t n = data[0];

		data++;
		size--;
		if (n > size)
			n = size;
		if (n > 0 && send(client, data, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		data += n;
		size -= n;
		fuzz_iterate(-1);
		while (recv(client, replies, sizeof(replies), 0) > 0)
			;
	}
	close(client);
	fuzz_iterate(-1);
	CHECK(!fuzz_is_served(fd));
	fuzz_reset_table();
	return (0);
}
