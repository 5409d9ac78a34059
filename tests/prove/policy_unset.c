/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_unset() lets root remove anything but program 100000, a user what he
 * owns, and an anonymous caller entries without an owner on whose port nobody
 * but his user has a socket.  policy_identity() is the first table of
 * ACCESS CONTROL in portmap(8).
 *
 * Bound: all callers, entries and sockets.
 * Run: src/policy.c --unwind 17
 */
#include <string.h>

#include "prove.h"
#include "policy.h"

static void
prove_unset(void)
{
	struct mapping m;
	struct caller caller = {nondet_u32(), nondet_u32()};
	struct port_use use = {.known = nondet_bool(),
	    .bound = nondet_bool(),
	    .by_user = nondet_bool(),
	    .by_root = nondet_bool(),
	    .by_others = nondet_bool()};
	enum verdict verdict = policy_unset(&caller, &m, &use);
	bool may = caller.uid == 0 || caller.uid == m.owner;
	bool asks = caller.uid == UID_UNKNOWN && may && m.prog != 100000;
	bool free = !use.by_others;

	PROVE(verdict_is_ok(verdict) ==
	      (m.prog != 100000 && may && (!asks || (use.known && free))));
	PROVE((verdict == VERDICT_DENY_BUSY) == (asks && !use.known));
	PROVE(verdict != VERDICT_UNCHANGED && verdict != VERDICT_ASK);
	PROVE((policy_unset(&caller, &m, NULL) == VERDICT_ASK) == asks);
	if (verdict_is_ok(verdict) && asks)
		REACHED("an anonymous UNSET");
	if (verdict_is_ok(verdict) && caller.uid == 0 && m.owner == 1000)
		REACHED("root's UNSET");
}

static void
prove_identity(void)
{
	struct peer peer;
	struct caller caller;
	unsigned privileged = nondet_u32(), port;
	uid_t socket = nondet_u32();
	enum verdict verdict;
	uint8_t bytes[2] = {
	    (uint8_t)any_size(0, 255), (uint8_t)any_size(0, 255)};
	in_port_t net;

	peer.origin = (enum origin)any_size(0, ORIGINS - 1);
	/* in a union: CBMC reads it as it was written only if it was */
	memcpy(&net, bytes, sizeof(net));
	peer.from.sin_port = net;
	verdict = policy_identity(&peer, privileged, &socket, &caller);
	port = bytes[0] * 256u + bytes[1];
	PROVE(verdict != VERDICT_ASK);
	if (peer.origin == ORIGIN_NETWORK || peer.origin == ORIGIN_IPV6) {
		PROVE(verdict == VERDICT_DENY_ORIGIN);
		return;
	}
	if (peer.origin == ORIGIN_LOCAL) {
		PROVE(verdict == VERDICT_OK);
		PROVE(caller.uid == peer.uid && caller.user == peer.uid);
		REACHED("the local socket");
		return;
	}
	if (caller.uid == UID_ROOT) {
		PROVE(verdict == VERDICT_OK);
		PROVE(port < 1024 && port < privileged);
		REACHED("root on loopback");
		return;
	}
	PROVE(port >= 1024 || port >= privileged);
	PROVE(caller.user == socket);
	PROVE(caller.uid == UID_UNKNOWN ||
	      (peer.prot == 6 && caller.uid == socket));
	PROVE((verdict == VERDICT_DENY_UNKNOWN) ==
	      (peer.prot == 6 && socket == UID_UNKNOWN));
	PROVE(policy_identity(&peer, privileged, NULL, &caller) == VERDICT_ASK);
	if (verdict == VERDICT_OK && caller.uid == UID_UNKNOWN)
		REACHED("an anonymous caller");
	if (verdict == VERDICT_OK && caller.uid != UID_UNKNOWN)
		REACHED("a user on loopback");
}

void
prove(void)
{
	prove_unset();
	prove_identity();
}
