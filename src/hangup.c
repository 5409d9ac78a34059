/* SPDX-License-Identifier: BSD-2-Clause */
#include "hangup.h"

#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h>
#include <netinet/in.h>

#include "closer.h"

enum {
	LITTLE = 1024,  /* bytes that are not worth a look */
	STATE_CLOSE = 7 /* TCP_CLOSE of the kernel's net/tcp_states.h */
};

bool
hangup_loses(int fd, const struct peer *peer, size_t replies)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return (peer->origin != ORIGIN_LOCAL && replies > LITTLE &&
		getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
		info.tcpi_state != STATE_CLOSE &&
		info.tcpi_unacked + info.tcpi_notsent_bytes > 0);
}

void
hangup_drop(int fd, const struct peer *peer, size_t replies)
{
	const struct linger reset = {.l_onoff = 1};

	if (hangup_loses(fd, peer, replies))
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void
hangup(int fd, const struct peer *peer, bool may_block)
{
	/* the service manager has a copy, so close() does not end it */
	if (peer->origin == ORIGIN_LOCAL && peer->uid == UID_ROOT)
		shutdown(fd, SHUT_RDWR);
	if (may_block)
		closer_close(fd);
	else
		close(fd);
}
