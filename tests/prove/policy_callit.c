/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_callit_caller(), policy_callit_target() and policy_broadcast() decide
 * as portmap(8) says of the option -c.
 *
 * Bound: all callers, scopes, programs, procedures and ports.
 * Run: src/policy.c --unwind 17
 */
#include "prove.h"
#include "policy.h"

/* The programs of which only procedure 0 is called, but for ypserv 1 and 2. */
static bool
spec_null_only(uint32_t prog, uint32_t proc)
{
	if (prog == 100004)
		return (proc > 2);
	return (prog == 100003 || prog == 100005 || prog == 100007 ||
		prog == 100009 || prog == 100011 || prog == 100017 ||
		prog == 100021 || prog == 100024 || prog == 100028 ||
		prog == 100069 || prog == 100227 || prog == 100232 ||
		prog == 100300 || prog == 390113 || prog == 600100069);
}

/* What other hosts may call besides procedure 0. */
static bool
spec_allowed(uint32_t prog, uint32_t proc)
{
	if (prog == 100004 || prog == 100026)
		return (proc == 1 || proc == 2);
	return (prog == 100001 || prog == 100002 || prog == 100012 ||
		(prog >= 0x20000000 && prog <= 0x5fffffff));
}

static void
prove_target(struct arrival c)
{
	uint32_t prog = nondet_u32(), proc = nondet_u32();
	uint32_t port = nondet_u32(), own_port = nondet_u32();
	bool is_self = prog == 100000 || port == 111 || port == own_port;
	bool good = policy_callit_target(c, prog, proc, port, own_port);

	PROVE(good == (!is_self && (proc == 0 || !spec_null_only(prog, proc)) &&
			  (proc == 0 || c.own || spec_allowed(prog, proc))));
	if (good && !c.own && proc == UINT32_MAX && prog == 0x5fffffff)
		REACHED("the last transient program");
	if (good && c.own && prog == 100232)
		REACHED("procedure 0 of sadmind");
	if (!good && !is_self && !c.own && !spec_null_only(prog, proc))
		REACHED("not for other hosts");
}

void
prove(void)
{
	struct arrival c = {.own = nondet_bool(),
	    .on_link = nondet_bool(),
	    .martian = nondet_bool()};
	enum callit_scope scope =
	    (enum callit_scope)any_size(CALLIT_NONE, CALLIT_LINK);
	bool serves = policy_callit_caller(scope, c);

	PROVE(serves == (!c.martian && ((scope == CALLIT_HOST && c.own) ||
					   (scope == CALLIT_LINK &&
					       (c.own || c.on_link)))));
	PROVE(policy_broadcast(c) == (c.own || (c.on_link && !c.martian)));
	if (serves && !c.own)
		REACHED("an on-link host");
	if (!serves && scope == CALLIT_HOST)
		REACHED("another host");
	prove_target(c);
}
