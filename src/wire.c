/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XDR of the bodies.  Everything that comes in is bounded here and goes into
 * structs that the caller owns; libtirpc's own xdr_pmap() and xdr_rpcb() do
 * neither.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

enum {
	ENTRY_WORDS = 5, /* a DUMP entry: "one more", prog, vers, prot, port */
	WORD = BYTES_PER_XDR_UNIT,
};

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
	int32_t octets[6];
	const char *p = uaddr;

	for (size_t i = 0; i < 6; i++) {
		if (i > 0 && *p++ != '.')
			return (-1);
		if (*p < '0' || *p > '9' ||
		    (*p == '0' && p[1] >= '0' && p[1] <= '9'))
			return (-1);
		for (octets[i] = 0; *p >= '0' && *p <= '9'; p++) {
			octets[i] = octets[i] * 10 + (*p - '0');
			if (octets[i] > 255)
				return (-1);
		}
	}
	return (*p == '\0' ? octets[4] * 256 + octets[5] : -1);
}

static void
put_word(struct wire_dump *d, uint32_t word)
{
	word = htonl(word);
	memcpy(d->bytes + d->len, &word, WORD);
	d->len += WORD;
}

int
wire_dump_start(struct wire_dump *d, size_t entries)
{
	size_t need = (entries * ENTRY_WORDS + 1) * WORD;

	d->len = 0;
	if (d->room < need) {
		char *bytes = realloc(d->bytes, need);

		if (bytes == NULL)
			return (-1);
		d->bytes = bytes;
		d->room = need;
	}
	return (0);
}

void
wire_dump_add(struct wire_dump *d, const struct mapping *m)
{
	put_word(d, TRUE);
	put_word(d, m->prog);
	put_word(d, m->vers);
	put_word(d, m->prot);
	put_word(d, m->port);
}

void
wire_dump_end(struct wire_dump *d)
{
	put_word(d, FALSE);
}

bool_t
wire_dump(XDR *xdrs, struct wire_dump *d)
{
	return (XDR_PUTBYTES(xdrs, d->bytes, (u_int)d->len));
}

static uint32_t
word_at(const unsigned char *p)
{
	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3]);
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
	name = word_at(p + WORD);
	if (name > NAME_MAX_LEN)
		return (false);
	name = RNDUP(name);
	if (len < 5 * WORD + name)
		return (false);
	gids = word_at(p + 4 * WORD + name);
	return (gids <= GIDS_MAX && len >= (5 + gids) * WORD + name);
}
