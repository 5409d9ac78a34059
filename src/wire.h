/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpc/rpc.h>

#include "pmap.h"

/*
 * The bodies of calls and answers, XDR (RFC 4506) to and from structs of a
 * fixed size.  The decoders allocate nothing, so there is nothing to free,
 * whatever they say; false means that the body is short or out of bounds.
 */

enum {
	WIRE_CALL_MIN = 40,     /* no call is shorter, RFC 5531 section 9 */
	WIRE_RECORD_MAX = 9000, /* the longest call that is read */
	WIRE_REPLY_HEAD = 24,   /* an accepted reply before its results */
	WIRE_STRING_MAX = 255,
};

/* No arguments, no result (libtirpc's xdr_void() is no xdrproc_t). */
bool_t wire_void(XDR *, void *);

/* The arguments of SET, UNSET and GETPORT: RFC 1833 section 3.1, `mapping`. */
bool_t wire_mapping(XDR *, struct mapping *);

/*
 * The arguments of RPCBPROC_SET and RPCBPROC_UNSET: RFC 1833 section 2.1,
 * `rpcb`.  The owner string is passed over: nobody vouches for it.
 */
struct wire_rpcb {
	uint32_t prog;
	uint32_t vers;
	char netid[WIRE_STRING_MAX + 1];
	char addr[WIRE_STRING_MAX + 1];
};
bool_t wire_rpcb(XDR *, struct wire_rpcb *);

/* What a netid means to version 2. */
enum wire_netid {
	NETID_UNKNOWN,
	NETID_ANY, /* "": every protocol */
	NETID_TCP,
	NETID_UDP,
	NETID_OTHER, /* known, but version 2 has no word for it */
};
enum wire_netid wire_netid(const char *netid);

/*
 * The port of an IPv4 universal address h1.h2.h3.h4.p1.p2 (RFC 5665 section
 * 5.2.3.3), or -1 when that is not strictly one.
 */
int32_t wire_uaddr(const char *uaddr);

/* The arguments of CALLIT: RFC 1833 section 3.1, `call_args`. */
struct wire_callit {
	uint32_t prog;
	uint32_t vers;
	uint32_t proc;
	uint32_t len; /* of args, which are the service's to understand */
	uint8_t args[WIRE_RECORD_MAX];
};
bool_t wire_callit(XDR *, struct wire_callit *);

/*
 * A call of our own with AUTH_NONE (RFC 5531 section 9) around the arguments
 * of a CALLIT; its length.  `bytes` has room for WIRE_CALL_MIN more than they.
 */
size_t wire_forward(const struct wire_callit *, uint32_t xid, uint8_t *bytes);

/* A service's answer to that call. */
enum wire_answer {
	ANSWER_OTHER,   /* not to this call, or no answer at all */
	ANSWER_FAILED,  /* it did not succeed */
	ANSWER_SUCCESS, /* `results` are `results_len` bytes of it */
};
enum wire_answer wire_answer(const uint8_t *bytes, size_t len, uint32_t xid,
    const uint8_t **results, size_t *results_len);

/*
 * The answer to a CALLIT (RFC 1833 section 3.2), from the header on; its
 * length, or 0 when it has no room.  The results' length is a multiple of 4.
 */
size_t wire_callit_answer(uint32_t xid, uint32_t port, const uint8_t *results,
    size_t results_len, uint8_t *bytes, size_t room);

/*
 * The result of DUMP, encoded beforehand: RFC 1833 section 3.1, `pmaplist`.
 * Entries are added one by one, and wire_dump_end() closes the list.
 */
struct wire_dump {
	char *bytes;
	size_t len;
	size_t room;
};
/* 0, or -1 when out of memory. */
int wire_dump_start(struct wire_dump *, size_t entries);
void wire_dump_add(struct wire_dump *, const struct mapping *);
void wire_dump_end(struct wire_dump *);
bool_t wire_dump(XDR *, struct wire_dump *);

/* Is this a well-formed AUTH_SYS body (RFC 5531 appendix A)? */
bool wire_authsys(const void *body, size_t len);

#endif
