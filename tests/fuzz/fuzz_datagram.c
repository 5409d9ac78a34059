/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams through the real transport, policy and table.  The input is a
 * sequence of: how it came (1 byte), its length (2 bytes), its bytes.
 */
#include "fuzz.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "callit.h"
#include "datagram.h"

static const uint8_t *input;
static size_t left;
static size_t asked[64]; /* the lengths, by network callers only; else 0 */
static size_t asked_count;

int __wrap_recvmmsg(int, struct mmsghdr *, unsigned, int, struct timespec *);
int __wrap_sendmmsg(int, struct mmsghdr *, unsigned, int);

int
__wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned max, int flags,
    struct timespec *timeout)
{
	unsigned n = 0;

	(void)fd;
	(void)flags;
	(void)timeout;
	asked_count = 0;
	while (n < max && left >= 3) {
		struct msghdr *m = &msgs[n].msg_hdr;
		struct sockaddr_in *from = m->msg_name;
		struct cmsghdr *c = CMSG_FIRSTHDR(m);
		struct in_pktinfo info = {0};
		uint8_t how = input[0];
		size_t len = (size_t)input[1] << 8 | input[2];

		input += 3;
		left -= 3;
		if (len > left)
			len = left;
		*from = (struct sockaddr_in){.sin_family = AF_INET,
		    .sin_port = htons((how & 1) ? 600 : 6000),
		    .sin_addr = {htonl(INADDR_LOOPBACK)}};
		m->msg_namelen = sizeof(*from);
		info.ipi_ifindex = (how & 2) ? 1 : 2;
		info.ipi_addr.s_addr =
		    htonl((how & 4) ? INADDR_LOOPBACK : 0xc0000201);
		info.ipi_spec_dst = info.ipi_addr;
		if (how & 8)
			info.ipi_spec_dst.s_addr ^= htonl(1); /* broadcast */
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		if (how & 16)
			m->msg_controllen = 0;
		if (len > m->msg_iov->iov_len)
			len = m->msg_iov->iov_len;
		memcpy(m->msg_iov->iov_base, input, len);
		msgs[n].msg_len = (unsigned)len;
		asked[n] = (how & 6) == 6 ? SIZE_MAX : len;
		input += len;
		left -= len;
		n++;
	}
	asked_count = n;
	return ((int)n);
}

int
__wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	size_t most = 0, sum = 0, all = 0;

	(void)fd;
	(void)flags;
	CHECK(n <= asked_count);
	for (size_t i = 0; i < asked_count; i++) {
		if (asked[i] == SIZE_MAX)
			return ((int)n); /* anything goes on this host */
		most = asked[i] > most ? asked[i] : most;
		all += asked[i];
	}
	for (unsigned i = 0; i < n; i++) {
		size_t len = msgs[i].msg_hdr.msg_iov->iov_len;

		CHECK(len >= 20 && len % 4 == 0 && len <= most);
		sum += len;
	}
	CHECK(sum <= all);
	return ((int)n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd == -1) {
		fuzz_start();
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		CHECK(datagram_serve(fd, NULL) != NULL);
	}
	input = data;
	left = size;
	while (left >= 3)
		fuzz_iterate(fd);
	/* none of these callers is root, or known */
	for (const struct mapping *m = table_first(fuzz_table()); m != NULL;
	     m = table_next(m))
		CHECK(m->prog == PMAP_PROG ||
		      (m->owner == UID_UNKNOWN && m->port >= 1024 &&
			  m->port != 2049 && m->port <= 65535 &&
			  (m->prot == IPPROTO_TCP || m->prot == IPPROTO_UDP)));
	callit_tick(INT64_MAX); /* all expire */
	fuzz_reset_table();
	return (0);
}
