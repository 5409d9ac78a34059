/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpc/rpc.h>

#include "pmap.h"

/*
 * The bodies of calls and replies: XDR (RFC 4506) to and from structs of fixed
 * size.  Decoders allocate nothing, so there is nothing to free; they return
 * false if the body is short or out of bounds.
 */

enum {
	WIRE_CALL_MIN = 40, /* bytes of the shortest call, RFC 5531 sec. 9 */
	WIRE_RECORD_MAX = 9000, /* bytes of the longest call that is served */
	WIRE_REPLY_HEAD = 24,   /* bytes of an accepted reply before results */
	WIRE_CALLIT_HEAD = 32,  /* and of a reply to a CALLIT */
	WIRE_STRING_MAX = 255,
	WIRE_ENTRY = 20, /* bytes of an entry in the result of DUMP */
};

/* No arguments, no result (libtirpc's xdr_void() is no xdrproc_t). */
bool_t wire_void(XDR *, void *);

/* The arguments of SET, UNSET and GETPORT: RFC 1833 section 3.1, `mapping`. */
bool_t wire_mapping(XDR *, struct mapping *);

/*
 * The arguments of RPCBPROC_SET and RPCBPROC_UNSET: RFC 1833 section 2.1,
 * `rpcb`.  The owner string is skipped: any caller can claim any name.
 */
struct wire_rpcb {
	uint32_t prog;
	uint32_t vers;
	char netid[WIRE_STRING_MAX + 1];
	char addr[WIRE_STRING_MAX + 1];
};
bool_t wire_rpcb(XDR *, struct wire_rpcb *);

/* What a netid means in version 2. */
enum wire_netid {
	NETID_UNKNOWN,
	NETID_ANY, /* "": every protocol */
	NETID_TCP,
	NETID_UDP,
	NETID_OTHER, /* known, but version 2 cannot express it */
};

/* Return the meaning of a netid: RFC 5665 section 5.1, netconfig(5). */
enum wire_netid wire_netid(const char *netid);

/*
 * Return the port of an IPv4 universal address h1.h2.h3.h4.p1.p2 (RFC 5665
 * section 5.2.3.3), or -1 if the text is not exactly one.
 */
int32_t wire_uaddr(const char *uaddr);

/* The arguments of CALLIT: RFC 1833 section 3.1, `call_args`. */
struct wire_callit {
	uint32_t prog;
	uint32_t vers;
	uint32_t proc;
	uint32_t len; /* of args, which only the service understands */
	uint8_t args[WIRE_RECORD_MAX];
};
bool_t wire_callit(XDR *, struct wire_callit *);

/*
 * Encode a call of our own with AUTH_NONE (RFC 5531 section 9) and the
 * arguments of a CALLIT.  `bytes` must have room for WIRE_CALL_MIN bytes and
 * the arguments.  Return the length.
 */
size_t wire_call(const struct wire_callit *, uint32_t xid, uint8_t *bytes);

/* What a datagram from a service is. */
enum wire_reply {
	REPLY_OTHER,   /* not a reply to this call */
	REPLY_FAILED,  /* a reply other than SUCCESS */
	REPLY_SUCCESS, /* a reply with results */
};

/*
 * Decode a reply to a call with this xid (RFC 5531 section 9).  On
 * REPLY_SUCCESS, *results points to *results_len bytes of `bytes`.
 */
enum wire_reply wire_reply(const uint8_t *bytes, size_t len, uint32_t xid,
    const uint8_t **results, size_t *results_len);

/*
 * Encode the reply to a CALLIT (RFC 1833 section 3.2), with its header.  The
 * results' length must be a multiple of 4.  Return the length, or 0 if it
 * exceeds `room`.
 */
size_t wire_callit_reply(uint32_t xid, uint32_t port, const uint8_t *results,
    size_t results_len, uint8_t *bytes, size_t room);

/*
 * Encode one entry of the result of DUMP: RFC 1833 section 3.1, `pmaplist`.
 * FALSE ends the list.  Return false if there is no room.
 */
bool wire_entry(XDR *, const struct mapping *);

/* Return true for a well-formed AUTH_SYS body: RFC 5531 appendix A. */
bool wire_authsys(const void *body, size_t len);

#endif
