/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SET, UNSET, GETPORT and DUMP by three users over the real transport,
 * compared with a plain array: a lie is found, not only a crash.  Each two
 * bytes of input are one call.  Nobody can be asked who is bound to a port
 * here, so no entry is ever stale.
 */
#include "fuzz.h"

#include <netinet/in.h>
#include <unistd.h>

#include <arpa/inet.h>

enum {
	USERS = 3,
	ENTRIES = 256
};

static struct mapping model[ENTRIES];
static size_t count;

static size_t
find(const struct mapping *m)
{
	size_t i = 0;

	while (i < count &&
	       (model[i].prog != m->prog || model[i].vers != m->vers ||
		   model[i].prot != m->prot))
		i++;
	return (i);
}

static void
drop(size_t at)
{
	memmove(&model[at], &model[at + 1], (count - at - 1) * sizeof(*model));
	count--;
}

/* A SET of root removes what other users have of the program. */
static void
take_over(const struct mapping *m)
{
	for (size_t i = 0; i < count;)
		if (model[i].prog == m->prog && model[i].owner != 0)
			drop(i);
		else
			i++;
}

static uint32_t
model_set(const struct mapping *m)
{
	bool foreign = false; /* sock_diag is not open: no entry is stale */
	size_t at = find(m);

	if (m->prog == PMAP_PROG || (m->prot != 6 && m->prot != 17) ||
	    m->port == 0 || m->port > 65535)
		return (0);
	for (size_t i = 0; i < count; i++)
		foreign |=
		    model[i].prog == m->prog && model[i].owner != m->owner;
	if (m->owner != 0 && (foreign || m->port < 1024 || m->port == 2049))
		return (0);
	if (at == count || model[at].owner != m->owner ||
	    model[at].port != m->port) {
		if (at < count)
			drop(at);
		model[count++] = *m;
	}
	if (m->owner == 0)
		take_over(m);
	return (1);
}

static uint32_t
model_unset(const struct mapping *m)
{
	if (m->prog == PMAP_PROG)
		return (0);
	for (size_t i = 0; i < count; i++)
		if (model[i].prog == m->prog && model[i].vers == m->vers &&
		    m->owner != 0 && model[i].owner != m->owner)
			return (0);
	for (size_t i = 0; i < count;)
		if (model[i].prog == m->prog && model[i].vers == m->vers)
			drop(i);
		else
			i++;
	return (1);
}

static uint32_t
model_getport(const struct mapping *m)
{
	size_t at = find(m), near = count;

	if (m->prog == PMAP_PROG)
		return (m->prot == 6 || m->prot == 17 ? PMAP_PORT : 0);
	for (size_t i = 0; i < count; i++)
		if (model[i].prog == m->prog && model[i].prot == m->prot &&
		    (near == count ||
			(model[near].owner != 0 && model[i].owner == 0)))
			near = i;
	if (at == count)
		at = near;
	return (at == count ? 0 : model[at].port);
}

/* One call; the words of the reply behind the header. */
static size_t
ask(int client, int fd, uint32_t proc, const struct mapping *m, uint32_t *reply,
    size_t room)
{
	uint32_t words[] = {0x80000000u | 56, 9, CALL, 2, PMAP_PROG, 2, proc, 0,
	    0, 0, 0, m->prog, m->vers, m->prot, m->port};
	ssize_t n;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		words[i] = htonl(words[i]);
	CHECK(send(client, words, sizeof(words), 0) == sizeof(words));
	fuzz_iterate(-1);
	n = recv(client, reply, room * 4, 0);
	CHECK(n >= 28 && n % 4 == 0);
	for (ssize_t i = 0; i < n / 4; i++)
		reply[i] = ntohl(reply[i]);
	CHECK(reply[0] == (0x80000000u | (uint32_t)(n - 4)));
	CHECK(reply[1] == 9 && reply[2] == REPLY && reply[6] == SUCCESS);
	return ((size_t)n / 4 - 7);
}

static void
check_dump(int client, int fd)
{
	static uint32_t reply[16 + 5 * (ENTRIES + 2)];
	static const struct mapping none;
	const uint32_t *e = reply + 7 + 10;
	size_t n =
	    ask(client, fd, 4, &none, reply, sizeof(reply) / sizeof(*reply));

	CHECK(n == 5 * (count + 2) + 1);
	for (size_t i = 0; i < count; i++, e += 5)
		CHECK(e[0] == 1 && e[1] == model[i].prog &&
		      e[2] == model[i].vers && e[3] == model[i].prot &&
		      e[4] == model[i].port);
	CHECK(*e == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t ports[] = {5000, 5001, 80, 2049};
	static int clients[USERS], fds[USERS];
	uint32_t reply[16], expected;

	if (fds[0] == 0) {
		fuzz_start();
		for (uid_t uid = 0; uid < USERS; uid++)
			clients[uid] = fuzz_connect(uid, &fds[uid]);
	}
	count = 0;
	for (; size >= 2; data += 2, size -= 2) {
		unsigned user = data[0] % USERS;
		struct mapping m = {.prog = (data[1] & 3) == 3
						? PMAP_PROG
						: 300000u + (data[1] & 3),
		    .vers = (data[1] >> 2) & 3,
		    .prot = (data[1] & 16) ? IPPROTO_TCP : IPPROTO_UDP,
		    .port = ports[(data[1] >> 5) & 3],
		    .owner = user};

		if ((data[0] & 0x80) && (data[1] & 0x80))
			m.prot = 7;
		switch ((data[0] >> 2) % 4) {
		case 0:
			expected = model_set(&m);
			break;
		case 1:
			expected = model_unset(&m);
			break;
		case 2:
			expected = model_getport(&m);
			break;
		default:
			check_dump(clients[user], fds[user]);
			continue;
		}
		CHECK(ask(clients[user], fds[user], 1 + (data[0] >> 2) % 4, &m,
			  reply, 16) == 1);
		CHECK(reply[7] == expected);
	}
	check_dump(clients[0], fds[0]);
	fuzz_reset_table();
	return (0);
}
