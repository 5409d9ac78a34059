/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libtirpc's xdr_pmap() and xdr_rpcb() decode into `unsigned long` and into
 * strings that they allocate; these decoders do neither.
 */
#include "wire.h"

#include <string.h>

#include "be32.h"
#include "decimal.h"

#define WORD ((size_t)BYTES_PER_XDR_UNIT)

bool_t
wire_void(XDR *xdrs, void *nothing)
{
	(void)xdrs;
	(void)nothing;
	return (TRUE);
}

bool_t
wire_mapping(XDR *xdrs, struct mapping *m)
{
	return (xdr_u_int32_t(xdrs, &m->prog) &&
		xdr_u_int32_t(xdrs, &m->vers) &&
		xdr_u_int32_t(xdrs, &m->prot) && xdr_u_int32_t(xdrs, &m->port));
}

/* A string of at most WIRE_STRING_MAX bytes, none of them NUL. */
static bool
decode_string(XDR *xdrs, char text[WIRE_STRING_MAX + 1])
{
	uint32_t len;

	if (!xdr_u_int32_t(xdrs, &len) || len > WIRE_STRING_MAX ||
	    !xdr_opaque(xdrs, text, len))
		return (false);
	text[len] = '\0';
	return (strlen(text) == len);
}

bool_t
wire_rpcb(XDR *xdrs, struct wire_rpcb *r)
{
	char owner[WIRE_STRING_MAX + 1];

	return (xdr_u_int32_t(xdrs, &r->prog) &&
		xdr_u_int32_t(xdrs, &r->vers) &&
		decode_string(xdrs, r->netid) && decode_string(xdrs, r->addr) &&
		decode_string(xdrs, owner));
}

enum wire_netid
wire_netid(const char *netid)
{
	/* RFC 5665 section 5.1, and /etc/netconfig as libtirpc ships it */
	static const struct {
		const char *name;
		enum wire_netid means;
	} netids[] = {
	    {"", NETID_ANY},
	    {"tcp", NETID_TCP},
	    {"udp", NETID_UDP},
	    {"tcp6", NETID_OTHER},
	    {"udp6", NETID_OTHER},
	    {"local", NETID_OTHER},
	    {"unix", NETID_OTHER},
	    {"rawip", NETID_OTHER},
	    {"ticlts", NETID_OTHER},
	    {"ticots", NETID_OTHER},
	    {"ticotsord", NETID_OTHER},
	    {"sctp", NETID_OTHER},
	    {"sctp6", NETID_OTHER},
	};

	for (size_t i = 0; i < sizeof(netids) / sizeof(*netids); i++)
		if (strcmp(netid, netids[i].name) == 0)
			return (netids[i].means);
	return (NETID_UNKNOWN);
}

int32_t
wire_uaddr(const char *uaddr)
{
	uint32_t octet, port = 0;

	for (size_t i = 0; i < 6; i++) {
		if (i > 0) {
			if (*uaddr != '.')
				return (-1);
			uaddr++;
		}
		if (!decimal_parse(&uaddr, UINT8_MAX, &octet))
			return (-1);
		port = (port << 8 | octet) & PORT_MAX; /* of the last two */
	}
	return (*uaddr == '\0' ? (int32_t)port : -1);
}

bool_t
wire_callit(XDR *xdrs, struct wire_callit *c)
{
	return (xdr_u_int32_t(xdrs, &c->prog) &&
		xdr_u_int32_t(xdrs, &c->vers) &&
		xdr_u_int32_t(xdrs, &c->proc) && xdr_u_int32_t(xdrs, &c->len) &&
		c->len <= sizeof(c->args) &&
		xdr_opaque(xdrs, (char *)c->args, c->len));
}

size_t
wire_call(const struct wire_callit *c, uint32_t xid, uint8_t *bytes)
{
	const uint32_t head[WIRE_CALL_MIN / WORD] = {xid, CALL, RPC_MSG_VERSION,
	    c->prog, c->vers, c->proc, AUTH_NONE, 0, AUTH_NONE, 0};

	for (size_t i = 0; i < WIRE_CALL_MIN / WORD; i++)
		be32enc(bytes + i * WORD, head[i]);
	memcpy(bytes + WIRE_CALL_MIN, c->args, c->len);
	return (WIRE_CALL_MIN + c->len);
}

enum wire_reply
wire_reply(const uint8_t *bytes, size_t len, uint32_t xid,
    const uint8_t **results, size_t *results_len)
{
	size_t verf;

	if (len < 3 * WORD || len % WORD != 0 || be32dec(bytes) != xid ||
	    be32dec(bytes + WORD) != REPLY)
		return (REPLY_OTHER);
	if (be32dec(bytes + 2 * WORD) != MSG_ACCEPTED)
		return (REPLY_FAILED);
	/* the verifier: flavour, length, body */
	if (len < WIRE_REPLY_HEAD ||
	    (verf = be32dec(bytes + 4 * WORD)) > MAX_AUTH_BYTES ||
	    len < WIRE_REPLY_HEAD + RNDUP(verf))
		return (REPLY_OTHER);
	bytes += 5 * WORD + RNDUP(verf);
	if (be32dec(bytes) != SUCCESS)
		return (REPLY_FAILED);
	*results = bytes + WORD;
	*results_len = len - WIRE_REPLY_HEAD - RNDUP(verf);
	return (REPLY_SUCCESS);
}

size_t
wire_callit_reply(uint32_t xid, uint32_t port, const uint8_t *results,
    size_t results_len, uint8_t *bytes, size_t room)
{
	const uint32_t head[WIRE_CALLIT_HEAD / WORD] = {xid, REPLY,
	    MSG_ACCEPTED, AUTH_NONE, 0, SUCCESS, port, (uint32_t)results_len};

	if (sizeof(head) + results_len > room)
		return (0);
	for (size_t i = 0; i < sizeof(head) / WORD; i++)
		be32enc(bytes + i * WORD, head[i]);
	memcpy(bytes + sizeof(head), results, results_len);
	return (sizeof(head) + results_len);
}

bool
wire_entry(XDR *xdrs, const struct mapping *m)
{
	const uint32_t words[] = {TRUE, m->prog, m->vers, m->prot, m->port};
	uint8_t bytes[WIRE_ENTRY];

	for (size_t i = 0; i < WIRE_ENTRY / WORD; i++)
		be32enc(bytes + i * WORD, words[i]);
	return (XDR_PUTBYTES(xdrs, (char *)bytes, sizeof(bytes)));
}

bool
wire_authsys(const void *body, size_t len)
{
	enum {
		NAME_MAX_LEN = 255,
		GIDS_MAX = 16
	};
	const unsigned char *p = body;
	size_t name, gids;

	/* stamp, machinename<255>, uid, gid, gids<16> */
	if (len < 5 * WORD)
		return (false);
	name = be32dec(p + WORD);
	if (name > NAME_MAX_LEN)
		return (false);
	name = RNDUP(name);
	if (len < 5 * WORD + name)
		return (false);
	gids = be32dec(p + 4 * WORD + name);
	return (gids <= GIDS_MAX && len >= (5 + gids) * WORD + name);
}
