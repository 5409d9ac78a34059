/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types that modules share: a mapping, the origin of a call and its caller,
 * the verdict on a request, the outcome of a CALLIT.
 */
#ifndef PMAP_H
#define PMAP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* the port mapper itself, RFC 1833 section 3.1; libtirpc has PMAPPROG */
#define PMAP_PROG 100000
#define PMAP_PORT 111
/* where libtirpc and the kernel look for the local socket */
#define PMAP_LOCAL_PATH "/run/rpcbind.sock"

enum {
	UID_ROOT = 0,
	UID_SYSTEM_MAX = 999, /* 1 to this are system accounts: useradd(8) */
	PORT_RESERVED = 1024, /* lower ports are for root and their holders */
	PORT_NFS = 2049,
	PORT_MAX = 65535,
};

/* An unauthenticated caller, or the owner of an entry that one registered. */
#define UID_UNKNOWN ((uid_t)-1)

/* Return true for a system account. */
static inline bool
pmap_is_system(uid_t uid)
{
	return (uid != UID_ROOT && uid <= UID_SYSTEM_MAX);
}

struct mapping {
	uint32_t prog;
	uint32_t vers;
	uint32_t prot; /* IPPROTO_TCP or IPPROTO_UDP */
	uint32_t port; /* as the client sent it: can exceed PORT_MAX */
	uid_t owner;
};

enum {
	ENTRIES_MAX = 16384 /* without our own */
};

enum {
	PMAP_PROCS = 6, /* of version 2, RFC 1833 section 3.1 */
	PMAP_PROTS = 2
};

/* The protocols of mappings; DUMP lists our own entries in this order. */
static const uint32_t pmap_prots[PMAP_PROTS] = {IPPROTO_TCP, IPPROTO_UDP};

/* Return true for an address of 127.0.0.0/8, which must not leave a host. */
static inline bool
pmap_is_127(struct in_addr addr)
{
	return (ntohl(addr.s_addr) >> 24 == IN_LOOPBACKNET);
}

/* How a call reached us.  From the network, nobody may SET and UNSET. */
enum origin {
	ORIGIN_NETWORK,
	ORIGIN_LOOPBACK,
	ORIGIN_LOCAL,
	ORIGIN_IPV6, /* UDP, only to say no: dispatch() in service.c */
	ORIGINS
};

/* Where a call came from. */
struct peer {
	enum origin origin;
	uid_t uid;     /* ORIGIN_LOCAL: from SO_PEERCRED; TCP: see debt.h */
	pid_t pid;     /* ORIGIN_LOCAL only, for the log */
	uint32_t prot; /* IPPROTO_TCP or IPPROTO_UDP; 0: ORIGIN_LOCAL;
			  IPPROTO_NONE: who pays for a CALLIT, callit.c */
	int fd;        /* IPPROTO_TCP: the connection */
	union {
		struct sockaddr_in from;
		struct sockaddr_in6 from6; /* ORIGIN_IPV6 */
	};
	struct in_addr to; /* ORIGIN_LOOPBACK: the address that was called */
};

enum verdict {
	VERDICT_OK,
	VERDICT_UNCHANGED,      /* granted, and there is nothing to change */
	VERDICT_DENY_ORIGIN,    /* calls of this origin must not do that */
	VERDICT_DENY_UNKNOWN,   /* the uid of the caller is not known */
	VERDICT_DENY_SELF,      /* the port mapper's own program */
	VERDICT_DENY_RANGE,     /* no such protocol or port */
	VERDICT_DENY_RESERVED,  /* the caller is no known holder of the port */
	VERDICT_DENY_HOLDER,    /* an anonymous caller does not hold the port */
	VERDICT_DENY_PROTECTED, /* a program for root and system accounts */
	VERDICT_DENY_PROGRAM,   /* another user owns the program */
	VERDICT_DENY_OWNER,     /* the entry of another user */
	VERDICT_DENY_BOUND, /* registered with another port that is in use */
	VERDICT_DENY_QUOTA, /* too many entries */
	VERDICT_DENY_BUSY,  /* sock_diag failed, or too many lookups */
	VERDICTS,
	VERDICT_ASK /* none yet: policy.h */
};

static inline bool
verdict_is_ok(enum verdict verdict)
{
	return (verdict <= VERDICT_UNCHANGED);
}

/* The steps and outcomes of a CALLIT: callit.h. */
enum callit_outcome {
	CALLIT_FORWARDED, /* sent to the service */
	CALLIT_RELAYED,   /* the service's reply was sent to the caller */
	CALLIT_REFUSED,   /* by policy: the caller, or the procedure */
	CALLIT_UNKNOWN,   /* the program is not registered */
	CALLIT_EXPIRED,   /* no reply came in time */
	CALLIT_EVICTED,   /* dropped in favour of others */
	CALLIT_TOO_LONG,  /* the reply exceeds the limit */
	CALLIT_FAILED,    /* an error, from the service or on this host */
	CALLIT_OUTCOMES
};

#endif
