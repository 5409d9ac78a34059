/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LISTING_H
#define LISTING_H

#include "client.h"

/* Printing mappings, in the columns of rpcbind's rpcinfo. */

/* As `rpcinfo -p`: ports. */
void listing_ports(const struct client_mappings *);

/* As `rpcinfo`: universal addresses. */
void listing_addresses(const struct client_mappings *);

/* As `rpcinfo -s`: one line for each program. */
void listing_summary(const struct client_mappings *);

#endif
