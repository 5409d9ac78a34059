/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model of the functions of libtirpc that wire.c calls, for a stream in
 * memory: xdr_mem.c and xdr.c of libtirpc 1.3.6.
 */
#ifndef PROVE_XDR_H
#define PROVE_XDR_H

#include <string.h>

#include <rpc/rpc.h>

#include "prove.h"

static bool_t
model_getbytes(XDR *xdrs, char *bytes, u_int n)
{
	if (xdrs->x_handy < n)
		return (FALSE);
	xdrs->x_handy -= n;
	memcpy(bytes, xdrs->x_private, n);
	xdrs->x_private = (char *)xdrs->x_private + n;
	return (TRUE);
}

static bool_t
model_putbytes(XDR *xdrs, const char *bytes, u_int n)
{
	if (xdrs->x_handy < n)
		return (FALSE);
	xdrs->x_handy -= n;
	memcpy(xdrs->x_private, bytes, n);
	xdrs->x_private = (char *)xdrs->x_private + n;
	return (TRUE);
}

static u_int
model_getpos(XDR *xdrs)
{
	return ((u_int)((char *)xdrs->x_private - xdrs->x_base));
}

/* Only these are called. */
static const struct xdr_ops model_ops = {
    .x_getbytes = model_getbytes,
    .x_putbytes = model_putbytes,
    .x_getpostn = model_getpos,
};

void
xdrmem_create(XDR *xdrs, char *bytes, u_int n, enum xdr_op op)
{
	*xdrs = (XDR){.x_op = op,
	    .x_ops = &model_ops,
	    .x_private = bytes,
	    .x_base = bytes,
	    .x_handy = n};
}

bool_t
xdr_u_int32_t(XDR *xdrs, uint32_t *word)
{
	uint8_t bytes[4];

	__CPROVER_assert(xdrs->x_op == XDR_DECODE, "decoding");
	if (!model_getbytes(xdrs, (char *)bytes, sizeof(bytes)))
		return (FALSE);
	*word = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
		(uint32_t)bytes[2] << 8 | bytes[3];
	return (TRUE);
}

bool_t
xdr_opaque(XDR *xdrs, char *bytes, u_int n)
{
	u_int padding = (4 - n % 4) % 4;

	__CPROVER_assert(xdrs->x_op == XDR_DECODE, "decoding");
	if (!model_getbytes(xdrs, bytes, n) || xdrs->x_handy < padding)
		return (FALSE);
	xdrs->x_handy -= padding;
	xdrs->x_private = (char *)xdrs->x_private + padding;
	return (TRUE);
}

/* The word at this place of a message, as RFC 4506 section 4.2 has it. */
static uint32_t
spec_word(const uint8_t *bytes, size_t at)
{
	return ((uint32_t)bytes[at] << 24 | (uint32_t)bytes[at + 1] << 16 |
		(uint32_t)bytes[at + 2] << 8 | bytes[at + 3]);
}

#endif
