/* SPDX-License-Identifier: BSD-2-Clause */
#include "holder.h"

#include <stddef.h>

#include "ifaddr.h"
#include "loop.h"
#include "sockdiag.h"

enum {
	BUDGET_US = 10000, /* in a second, for each class of users */
	FREE_US = 50,      /* of a change; an exact lookup usually takes 11 */
	PAYERS_MAX = 256   /* of a class in a second */
};

/* What the users of a class have spent in the current second. */
struct account {
	int64_t second;
	int64_t spent; /* us */
	size_t count;
	struct payer {
		uid_t uid;
		int64_t spent;
	} payers[PAYERS_MAX];
};

/* System accounts have a budget of their own, as they have a quota. */
static struct account accounts[2];

static int64_t free_us; /* what is left of FREE_US */

static struct payer *
find_payer(struct account *a, uid_t uid)
{
	int64_t second = loop_now() / 1000;

	if (a->second != second)
		*a = (struct account){.second = second};
	for (size_t i = 0; i < a->count; i++)
		if (a->payers[i].uid == uid)
			return (&a->payers[i]);
	if (a->count == PAYERS_MAX)
		return (NULL);
	a->payers[a->count].uid = uid;
	return (&a->payers[a->count++]);
}

/*
 * Return true if no other socket matters: one of the user is found, or one of
 * anybody if no user is of interest.
 */
static bool
decides(const struct sockdiag_port *found, uid_t user)
{
	return (found->of_user ||
		(user == UID_UNKNOWN && found->state == PORT_BOUND));
}

/*
 * Find the sockets of a port, including those that a dump has missed.  The
 * kernel continues a dump by index, so sockets that are closed in the meantime
 * make it skip others.
 */
static struct sockdiag_port
find_by_dump(uint32_t prot, uint32_t port, uid_t user)
{
	struct sockdiag_port all = sockdiag_dump(prot, port, user);
	struct in_addr addr;
	int ifindex;
	uid_t uid;

	for (size_t i = 0; ifaddr_get(i, &addr, &ifindex); i++) {
		if (decides(&all, user) || all.state == PORT_UNKNOWN)
			break;
		switch (sockdiag_exact(prot, addr, ifindex, port, &uid)) {
		case PORT_FREE:
			break;
		case PORT_UNKNOWN:
			all.state = PORT_UNKNOWN;
			break;
		case PORT_BOUND:
			all.state = PORT_BOUND;
			all.of_user = uid == user;
		}
	}
	return (all);
}

/* Find the socket that receives what this host sends to 127.0.0.1. */
static struct sockdiag_port
find_exact(uint32_t prot, uint32_t port, uid_t user)
{
	const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	struct sockdiag_port one = {0};
	uid_t uid;

	one.state = sockdiag_exact(prot, loopback, 0, port, &uid);
	one.of_user = one.state == PORT_BOUND && uid == user;
	return (one);
}

/*
 * Search at the expense of a user, who can spend half of what the others of his
 * class have left.  It is CPU time: a user does not pay for what other
 * processes do meanwhile.  Return false if the budget is spent, or if sock_diag
 * fails.
 */
static bool
search(uid_t payer, uint32_t prot, uint32_t port, uid_t user,
    struct sockdiag_port (*find)(uint32_t prot, uint32_t port, uid_t user),
    struct sockdiag_port *result)
{
	struct account *a = &accounts[pmap_is_system(payer)];
	struct payer *p;
	int64_t before, cost;

	if (payer == UID_ROOT) {
		*result = find(prot, port, user);
		return (result->state != PORT_UNKNOWN);
	}
	p = find_payer(a, payer);
	if (p == NULL || 2 * p->spent >= BUDGET_US - (a->spent - p->spent))
		return (false);
	before = loop_cpu_time();
	*result = find(prot, port, user);
	cost = loop_cpu_time() - before;
	loop_clock(); /* a search can be longer than a slice */
	free_us -= cost;
	if (free_us < 0) {
		p->spent -= free_us;
		a->spent -= free_us;
		free_us = 0;
	}
	return (result->state != PORT_UNKNOWN);
}

/*
 * Look up a port, with a dump only if the cheaper lookup of one socket decides
 * nothing.  Return false if the port is not known.
 */
static bool
look_up(uid_t payer, uint32_t prot, uint32_t port, uid_t user,
    struct sockdiag_port *found)
{
	return ((search(payer, prot, port, user, find_exact, found) &&
		    decides(found, user)) ||
		search(payer, prot, port, user, find_by_dump, found));
}

void
holder_begin(void)
{
	free_us = FREE_US;
}

enum fact
holder_in_use(uid_t payer, uint32_t prot, uint32_t port)
{
	/* no socket is of this user */
	return (holder_is_other(payer, prot, port, UID_UNKNOWN));
}

enum fact
holder_is(uid_t payer, uint32_t prot, uint32_t port, uid_t user)
{
	struct sockdiag_port found;

	if (user == UID_UNKNOWN)
		return (FACT_NO);
	if (!look_up(payer, prot, port, user, &found))
		return (FACT_UNKNOWN);
	return (found.of_user ? FACT_YES : FACT_NO);
}

enum fact
holder_is_other(uid_t payer, uint32_t prot, uint32_t port, uid_t user)
{
	struct sockdiag_port found;

	if (!look_up(payer, prot, port, user, &found))
		return (FACT_UNKNOWN);
	return (found.state == PORT_FREE || found.of_user ? FACT_NO : FACT_YES);
}
