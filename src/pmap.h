/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nouns of the port mapper: a mapping, the door a call came in by, the
 * peer that made it, and the reason why something was not granted.
 */
#ifndef PMAP_H
#define PMAP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PMAP_PROG 100000 /* the port mapper itself, RFC 1833 section 3.1 */
#define PMAP_PORT 111
/* where libtirpc and the kernel look for the local socket */
#define PMAP_LOCAL_PATH "/run/rpcbind.sock"

enum {
	OWNER_ROOT = 0,
	PORT_RESERVED = 1024, /* below: only root, or whoever is bound there */
	PORT_NFS = 2049,
	PORT_MAX = 65535,
};

/* The uid of a caller, or the owner of an entry, that nobody vouches for. */
#define OWNER_NONE ((uid_t)-1)

struct mapping {
	uint32_t prog;
	uint32_t vers;
	uint32_t prot; /* IPPROTO_TCP or IPPROTO_UDP */
	uint32_t port; /* as asked for: wider than a port until it is judged */
	uid_t owner;
};

/* Is it an address of 127.0.0.0/8, which never leaves a host? */
static inline bool
pmap_is_127(struct in_addr addr)
{
	return (ntohl(addr.s_addr) >> 24 == IN_LOOPBACKNET);
}

/*
 * Do two addresses count as one source?  All of 127.0.0.0/8 does: any local
 * user has addresses of it by the million.
 */
static inline bool
pmap_same_source(struct in_addr a, struct in_addr b)
{
	return (a.s_addr == b.s_addr || (pmap_is_127(a) && pmap_is_127(b)));
}

/* A call's rights come from here, never from the address that it claims. */
enum door {
	DOOR_NETWORK,
	DOOR_LOOPBACK,
	DOOR_LOCAL,
	DOORS
};

struct peer {
	enum door door;
	uid_t uid; /* local door: the kernel's word; else OWNER_NONE */
	pid_t pid; /* local door only, for the log */
	struct sockaddr_in from;
};

/* Is any socket of this host bound to a port?  See owner.h. */
enum bound {
	BOUND_UNKNOWN,
	BOUND_NO,
	BOUND_YES
};

/*
 * What was decided.  WHY_GRANTED and WHY_SAME (nothing needs to change) are
 * a yes; every other one is the reason for a no.
 */
enum why {
	WHY_GRANTED,
	WHY_SAME,
	WHY_DOOR,     /* this door may not do that */
	WHY_SELF,     /* the mapper's own program */
	WHY_RANGE,    /* no such protocol or port */
	WHY_RESERVED, /* a reserved port, and the caller is not bound to it */
	WHY_PROGRAM,  /* root has an entry of that program */
	WHY_OWNER,    /* somebody else's entry */
	WHY_BOUND,    /* registered at another port that is in use */
	WHY_QUOTA,    /* too many entries */
	WHY_MEMORY,   /* out of memory */
	WHYS
};

/* What became of a CALLIT, see forward.h. */
enum callit {
	CALLIT_FORWARDED, /* to the service */
	CALLIT_RELAYED,   /* its answer, to the caller */
	CALLIT_REFUSED,   /* by policy: the caller, or what was called */
	CALLIT_UNKNOWN,   /* nothing is registered */
	CALLIT_EXPIRED,   /* no answer came in time */
	CALLIT_EVICTED,   /* it had to make room */
	CALLIT_TOO_LONG,  /* an answer longer than may be sent */
	CALLIT_FAILED,    /* an error, from the service or ours */
	CALLITS
};

enum {
	PROCS = 6 /* of version 2, RFC 1833 section 3.1 */
};

/* The protocols that there are mappings for; the mapper's own in this order. */
enum {
	PMAP_PROTS = 2
};
extern const uint32_t pmap_prots[PMAP_PROTS];

/* What the procedures, doors and reasons are called in the log. */
extern const char *const pmap_procs[PROCS];
extern const char *const pmap_doors[DOORS];
extern const char *const pmap_whys[WHYS];
extern const char *const pmap_callits[CALLITS];

#endif
