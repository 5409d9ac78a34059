/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limit to compare with: a bare select() loop on port 111, UDP and TCP,
 * and on the local socket, that parses nothing and sends back what it gets.
 *
 *	echo [SIZE]	SIZE bytes are sent back for all that comes over TCP
 *	echo ring	up to 32 datagrams an iteration: portmap without RPC
 *
 * One datagram an iteration; of a connection, what one read() returns.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum {
	RING = 32
};

static char bytes[1 << 20];

static int
listener(int type, const struct sockaddr *at, socklen_t len)
{
	int fd = socket(at->sa_family, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_STREAM && at->sa_family == AF_INET)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fd == -1 || bind(fd, at, len) == -1 ||
	    (type == SOCK_STREAM && listen(fd, 128) == -1)) {
		perror("echo");
		exit(1);
	}
	return (fd);
}

/* As many datagrams as there are, up to a ring of them. */
static void
echo_ring(int fd)
{
	static struct mmsghdr msgs[RING];
	static struct iovec iovs[RING];
	static struct sockaddr_in from[RING];
	int n;

	for (int i = 0; i < RING; i++) {
		iovs[i] = (struct iovec){bytes + i * 2048, 2048};
		msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
		    .msg_namelen = sizeof(from[i]),
		    .msg_iov = &iovs[i],
		    .msg_iovlen = 1};
	}
	n = recvmmsg(fd, msgs, RING, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		iovs[i].iov_len = msgs[i].msg_len;
	if (n > 0)
		sendmmsg(fd, msgs, (unsigned)n, MSG_DONTWAIT);
}

int
main(int argc, char *argv[])
{
	const struct sockaddr_in any = {
	    .sin_family = AF_INET, .sin_port = htons(111)};
	const struct sockaddr_un addr = {
	    .sun_family = AF_UNIX, .sun_path = "/run/rpcbind.sock"};
	bool ring = argc > 1 && strcmp(argv[1], "ring") == 0;
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	int udp, tcp, local, top;
	fd_set all, ready;

	unlink(addr.sun_path);
	udp = listener(SOCK_DGRAM, (const void *)&any, sizeof(any));
	tcp = listener(SOCK_STREAM, (const void *)&any, sizeof(any));
	top = local = listener(SOCK_STREAM, (const void *)&addr, sizeof(addr));
	memset(bytes, 'e', size); /* not the page of zeros that all share */
	FD_ZERO(&all);
	FD_SET(udp, &all);
	FD_SET(tcp, &all);
	FD_SET(local, &all);
	for (;;) {
		ready = all;
		if (select(top + 1, &ready, NULL, NULL, NULL) == -1)
			continue;
		for (int fd = 0; fd <= top; fd++) {
			struct sockaddr_in from;
			socklen_t from_len = sizeof(from);
			ssize_t n;

			if (!FD_ISSET(fd, &ready))
				continue;
			if (fd == udp && ring) {
				echo_ring(fd);
			} else if (fd == udp) {
				n = recvfrom(fd, bytes, sizeof(bytes), 0,
				    (struct sockaddr *)&from, &from_len);
				if (n >= 0)
					sendto(fd, bytes, (size_t)n, 0,
					    (struct sockaddr *)&from, from_len);
			} else if (fd == tcp || fd == local) {
				if ((n = accept(fd, NULL, NULL)) == -1 ||
				    n >= FD_SETSIZE)
					continue;
				FD_SET((int)n, &all);
				if (n > top)
					top = (int)n;
			} else if ((n = read(fd, bytes, sizeof(bytes))) > 0) {
				if (write(fd, bytes,
					size > 0 ? size : (size_t)n) == -1)
					continue;
			} else {
				close(fd);
				FD_CLR(fd, &all);
			}
		}
	}
}
