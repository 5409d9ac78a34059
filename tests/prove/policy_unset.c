/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_unset() lets root remove anything but program 100000, a user what he
 * owns, and an anonymous caller entries without an owner on whose port no other
 * user has a socket.  policy_identity() is the table "Who is calling".
 *
 * Bound: all callers, entries and facts.
 * Run: src/policy.c --unwind 17
 */
#include <string.h>

#include "prove.h"
#include "policy.h"

static void
prove_unset(void)
{
	struct mapping m;
	uid_t who = nondet_u32();
	enum fact foreign = (enum fact)any_size(FACT_NO, FACT_UNKNOWN);
	enum verdict verdict = policy_unset(who, &m, foreign);
	bool may = who == 0 || who == m.owner;
	bool asks = who == UID_UNKNOWN && may && m.prog != 100000;

	PROVE(verdict_is_ok(verdict) ==
	      (m.prog != 100000 && may && (!asks || foreign == FACT_NO)));
	PROVE((verdict == VERDICT_DENY_BUSY) ==
	      (asks && foreign == FACT_UNKNOWN));
	PROVE(verdict != VERDICT_UNCHANGED);
	if (verdict_is_ok(verdict) && asks)
		REACHED("an anonymous UNSET");
	if (verdict_is_ok(verdict) && who == 0 && m.owner == 1000)
		REACHED("root's UNSET");
}

static void
prove_identity(void)
{
	struct peer peer;
	unsigned privileged = nondet_u32();
	uint8_t bytes[2];
	uid_t who;
	unsigned port;

	peer.origin = (enum origin)any_size(0, ORIGINS - 1);
	who = policy_identity(&peer, privileged);
	memcpy(bytes, &peer.from.sin_port, sizeof(bytes));
	port = bytes[0] * 256u + bytes[1];
	if (peer.origin == ORIGIN_LOCAL) {
		PROVE(who == peer.uid);
		REACHED("the local socket");
	} else if (who == UID_ROOT) {
		PROVE(peer.origin == ORIGIN_LOOPBACK);
		PROVE(port < 1024 && port < privileged);
		REACHED("root on loopback");
	} else {
		PROVE(who == UID_UNKNOWN);
		PROVE(peer.origin == ORIGIN_NETWORK || port >= 1024 ||
		      port >= privileged);
		REACHED("an anonymous caller");
	}
}

void
prove(void)
{
	prove_unset();
	prove_identity();
}
