/* SPDX-License-Identifier: BSD-2-Clause */
#include "holder.h"

#include "loop.h"
#include "peer.h"
#include "sockdiag.h"

enum {
	FACTOR = 100, /* 1 us of CPU time is paid for after 100 us */
	ALLOWED_US = 500000,
	ALLOWED_ROOT_US = 5000000, /* for searches with `also_bound` */
	USERS = 4096               /* by the remainder of their uids */
};

/*
 * When all is paid for, in us of CLOCK_MONOTONIC: by root and each system
 * account; by other users; and by callers without a user.  A user with
 * thousands of uids can make another user wait, but not a system account.  The
 * user of an anonymous caller is not proven, so it pays from accounts of its
 * own.
 */
static int64_t paid[2][UID_SYSTEM_MAX + 1 + USERS + 1];
static int64_t paid_by_sweeps;

static int64_t *
account_of(const struct caller *payer)
{
	size_t i;

	if (payer == NULL)
		return (&paid_by_sweeps);
	if (payer->user == UID_UNKNOWN)
		i = UID_SYSTEM_MAX + 1 + USERS;
	else if (payer->user > UID_SYSTEM_MAX)
		i = UID_SYSTEM_MAX + 1 + payer->user % USERS;
	else
		i = payer->user;
	return (&paid[payer->uid == UID_UNKNOWN][i]);
}

struct finding {
	struct port_use use;
	uid_t user;
};

/* A socket of this user is bound to the port. */
static void
note(uid_t uid, void *arg)
{
	struct finding *f = arg;

	f->use.bound = true;
	f->use.by_root |= uid == UID_ROOT;
	if (uid == f->user) /* no socket has UID_UNKNOWN */
		f->use.by_user = true;
	else
		f->use.by_others = true;
}

bool
holder_must_wait(const struct caller *payer)
{
	bool root = payer != NULL && payer->user == UID_ROOT;
	int64_t allowed = root ? ALLOWED_ROOT_US : ALLOWED_US;

	return (*account_of(payer) > loop_now() * 1000 + allowed);
}

/* Charge the payer for the CPU time since `began`, in us. */
static void
charge(const struct caller *payer, int64_t began)
{
	int64_t *end = account_of(payer), now = loop_now() * 1000;

	if (*end < now)
		*end = now;
	*end += (loop_cpu_clock() - began) * FACTOR;
	loop_clock(); /* this may have been longer than a slice */
}

struct port_use
holder_glance(
    const struct caller *payer, uint32_t prot, uint32_t port, uid_t user)
{
	const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	struct finding f = {.user = user};
	enum port_state state;
	int64_t began;
	uid_t uid;

	if (holder_must_wait(payer))
		return (f.use);
	began = loop_cpu_clock();
	state = sockdiag_exact(prot, loopback, PEER_LO, port, &uid);
	f.use.known = state != PORT_UNKNOWN;
	if (state == PORT_BOUND)
		note(uid, &f);
	charge(payer, began);
	return (f.use);
}

struct port_use
holder_search(const struct caller *payer, uint32_t prot, uint32_t port,
    uid_t user, bool also_bound)
{
	struct finding f = {.user = user};
	int64_t began = loop_cpu_clock();

	f.use.known = sockdiag_dump(prot, port, also_bound, note, &f) == 0;
	charge(payer, began);
	return (f.use);
}
