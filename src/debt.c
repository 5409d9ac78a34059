/* SPDX-License-Identifier: BSD-2-Clause */
#include "debt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ifaddr.h"
#include "log.h"
#include "loop.h"
#include "peer.h"

enum {
	SLOW_US = 100,
	SLOW_PAIRS = 50, /* of send(2) and recv(2), on a slow machine */
	MORE_PART = 5,   /* of slow_us, for each message after the first */
	BYTES_PER_US = 512,
	PACKET_US = 5, /* to receive one */
	LINE_MAX_LEN = 256,
	FACTOR = 200,
	REPAID_PART = 10,    /* of slow_us, by a short call */
	ALLOWED_MS = 500,    /* what a caller may owe */
	ACCIDENT_MS = 250,   /* what the first slow call costs at most */
	CALL_MAX_MS = 60000, /* what one call costs at most */
	FORGET_MS = 10000,
	NO_ACCIDENT_TIMES = 50, /* of slow_us: no interrupt takes that long */
	SUSPECT_CALLS = 16,
	IDENTIFY_CALLS = 6, /* as long as these may peer_socket_uid() take */
	USERS = 64,         /* who are in debt at the same time */
	PORT_BITS = 16      /* of an index of ports */
};

struct debt {
	int64_t end;      /* ms: when all is paid */
	int64_t charged;  /* ms: when a call was last charged */
	unsigned suspect; /* calls that are still to be measured */
};

static struct {
	uid_t uid;
	struct debt debt;
} users[USERS];
static struct {
	uint64_t key; /* address, port and protocol */
	struct debt debt;
} ports[1 << PORT_BITS];
static uint64_t seed; /* so that nobody can choose a port with another's debt */

static int64_t last_end;      /* ms: when nobody is in debt, or a suspect */
static int64_t last_port_end; /* ms: the last of those by port */

static int packets_fd = -1;
static size_t packets_line; /* bytes of a line, one for each processor */

static int64_t slow_us = SLOW_US;
static int64_t begun;    /* us */
static unsigned packets; /* received until then */
static int processor;    /* by this one */
static bool measured;    /* by the CPU clock */

/* Read from the file of packets; nothing, if that fails. */
static void
read_packets(char text[LINE_MAX_LEN + 1], size_t len, off_t at)
{
	ssize_t n = pread(packets_fd, text, len, at);

	text[n > 0 ? n : 0] = '\0';
}

static int64_t
later(int64_t a, int64_t b)
{
	return (a > b ? a : b);
}

/*
 * Return the CPU time of a send(2) and a recv(2) of one byte, in us: 1 to 3, or
 * 50 in an emulator.
 */
static int64_t
measure_pair(void)
{
	enum {
		ROUNDS = 4,
		PAIRS = 64
	};
	int64_t least = INT64_MAX, us;
	char byte = 0;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) == -1)
		return (0);
	for (int round = 0; round < ROUNDS; round++) {
		us = -loop_cpu_clock();
		for (int i = 0; i < PAIRS; i++)
			if (send(fds[0], &byte, 1, MSG_DONTWAIT) != 1 ||
			    recv(fds[1], &byte, 1, MSG_DONTWAIT) != 1)
				least = 0;
		us += loop_cpu_clock();
		if (us < least)
			least = us;
	}
	close(fds[0]);
	close(fds[1]);
	return (least / PAIRS);
}

void
debt_open(const char *softnet_stat, uint64_t random)
{
	char text[LINE_MAX_LEN + 1];

	slow_us = later(SLOW_US, SLOW_PAIRS * measure_pair());
	seed = random | 1;
	packets_fd = open(softnet_stat, O_RDONLY | O_CLOEXEC);
	read_packets(text, LINE_MAX_LEN - 1, 0);
	packets_line = strcspn(text, "\n") + 1;
}

/*
 * Return how many packets a processor has received: the first word of its line,
 * whose 13th is its number (Linux 5.10).  Only differences count.
 */
static unsigned
count_packets(int cpu)
{
	char text[LINE_MAX_LEN + 1];
	unsigned received, index;

	/* if the processor is not known, pread() refuses the offset */
	read_packets(text, packets_line, cpu * (off_t)packets_line);
	if (sscanf(text, "%x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x",
		&received, &index) != 2 ||
	    index != (unsigned)cpu)
		return (0);
	return (received);
}

static bool
is_here(const struct peer *peer)
{
	/* all of IPv6 are, because replies to other hosts never take long */
	return (peer->origin == ORIGIN_LOCAL || peer->origin == ORIGIN_IPV6 ||
		pmap_is_127(peer->from.sin_addr) ||
		ifaddr_is_own(peer->from.sin_addr));
}

/* Return the source address; of IPv6, a sum of its words. */
static uint64_t
address_of(const struct peer *peer)
{
	uint64_t sum = 0;

	if (peer->origin != ORIGIN_IPV6)
		return (peer->from.sin_addr.s_addr);
	for (size_t i = 0; i < 4; i++)
		sum += peer->from6.sin6_addr.s6_addr32[i];
	return (sum);
}

/*
 * Return the debt of a UDP port, of a TCP connection without a uid, or for
 * CALLITs: none if another one that hashes to the same place has one.
 */
static struct debt *
debt_of_port(const struct peer *peer, bool add)
{
	uint64_t key = address_of(peer) << 24 |
		       (uint64_t)peer->from.sin_port << 8 | peer->prot;
	size_t i = (key * seed) >> (64 - PORT_BITS); /* as in table.c */

	if (ports[i].key != key) {
		if (!add || ports[i].debt.end > loop_now())
			return (NULL);
		ports[i].key = key;
		ports[i].debt = (struct debt){.end = loop_now()};
	}
	return (&ports[i].debt);
}

static struct debt *
debt_of_user(uid_t uid, bool add)
{
	size_t first = 0;

	for (size_t i = 0; i < USERS; i++) {
		if (users[i].uid == uid)
			return (&users[i].debt);
		if (users[i].debt.end < users[first].debt.end)
			first = i;
	}
	if (!add || users[first].debt.end > loop_now())
		return (NULL);
	users[first].uid = uid;
	users[first].debt = (struct debt){.end = loop_now()};
	return (&users[first].debt);
}

/*
 * Return the debt of a caller on this host, or NULL if there is none.  With
 * `add`, make one, in place of one that ended first.
 */
static struct debt *
debt_of(struct peer *peer, bool add)
{
	if (peer->prot == IPPROTO_NONE)
		return (debt_of_port(peer, add));
	if (!is_here(peer))
		return (NULL);
	if (peer->uid == UID_UNKNOWN && peer->prot == IPPROTO_TCP)
		peer->uid = peer_socket_uid(peer);
	if (peer->uid == UID_UNKNOWN)
		return (debt_of_port(peer, add));
	return (debt_of_user(peer->uid, add));
}

/* Return the debt of a caller who may owe something, or be a suspect. */
static struct debt *
open_debt_of(struct peer *peer)
{
	if (peer == NULL || loop_now() >= last_end)
		return (NULL);
	return (debt_of(peer, false));
}

void
debt_suspect(struct peer *peer)
{
	struct debt *debt = debt_of(peer, true);

	if (debt == NULL)
		return;
	debt->suspect = SUSPECT_CALLS;
	last_end = later(last_end, loop_now() + FORGET_MS);
}

bool
debt_is_suspect(struct peer *peer)
{
	const struct debt *debt = open_debt_of(peer);

	return (debt != NULL && debt->suspect > 0);
}

/* The kernel registers as root; only root has these source ports. */
static bool
is_root(const struct peer *peer)
{
	unsigned port = ntohs(peer->from.sin_port);

	if (peer->prot == IPPROTO_NONE)
		return (false); /* not proven, or not a source port */
	if (peer->origin == ORIGIN_LOCAL)
		return (peer->uid == UID_ROOT);
	return (peer->uid == UID_ROOT ||
		(port < PORT_RESERVED && port < peer_privileged_ports()));
}

static void
charge(struct peer *peer, struct debt *debt, int64_t us)
{
	int64_t now = loop_now(), ms = us * FACTOR / 1000;

	if (is_root(peer))
		return;
	if (ms > CALL_MAX_MS)
		ms = CALL_MAX_MS;
	if ((debt->charged == 0 || debt->charged + FORGET_MS < now) &&
	    us < NO_ACCIDENT_TIMES * slow_us && ms > ACCIDENT_MS)
		ms = ACCIDENT_MS;
	debt->charged = now;
	debt->end = later(debt->end, now) + ms;
	if (debt->end > now + ALLOWED_MS) {
		if (peer->uid == UID_UNKNOWN) {
			/* one user can have thousands of ports: in turn */
			debt->end = later(debt->end, last_port_end + ms);
			if (debt->end > now + CALL_MAX_MS)
				debt->end = now + CALL_MAX_MS;
			last_port_end = debt->end;
		}
		log_debt(peer, us);
	}
	last_end = later(last_end, debt->end);
}

void
debt_begin(struct peer *peer)
{
	measured = debt_is_suspect(peer);
	if (measured) {
		processor = sched_getcpu();
		packets = count_packets(processor);
	}
	begun = loop_clock_of(measured);
}

/* Return how long a system call may take that nobody pays for, in us. */
static int64_t
usual(unsigned messages, size_t bytes)
{
	return (slow_us + (messages - 1) * slow_us / MORE_PART +
		(int64_t)(bytes / BYTES_PER_US));
}

bool
debt_end(struct peer *peer, unsigned messages, size_t bytes)
{
	int error = errno; /* of that call */
	int64_t us = loop_clock_of(measured) - begun;
	bool slow = us > usual(messages, bytes);
	struct debt *debt =
	    peer != NULL && measured ? debt_of(peer, false) : NULL;

	if (debt != NULL && slow) {
		us -= (int64_t)(count_packets(processor) - packets) * PACKET_US;
		slow = us > usual(messages, bytes);
	}
	if (slow && peer != NULL)
		debt_suspect(peer);
	if (debt != NULL && slow) {
		charge(peer, debt, us);
	} else if (debt != NULL) {
		if (debt->suspect > 0)
			debt->suspect--;
		debt->end -= slow_us * FACTOR / 1000 / REPAID_PART;
	}
	errno = error;
	return (slow);
}

uid_t
debt_identify(struct peer *peer)
{
	uid_t uid;

	debt_begin(peer);
	uid = peer_socket_uid(peer);
	debt_end(peer, IDENTIFY_CALLS, 0);
	return (uid);
}

int64_t
debt_until(struct peer *peer)
{
	const struct debt *debt = open_debt_of(peer);

	return (debt == NULL || debt->end <= loop_now() + ALLOWED_MS
		    ? 0
		    : debt->end - ALLOWED_MS);
}
