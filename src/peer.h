/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "pmap.h"

/*
 * Who is calling, and the origin of the call: from its destination address and
 * interface, or from SO_PEERCRED.  Decides no rights.
 */

enum {
	PEER_LO = 1 /* the index of lo in each namespace, since Linux 2.6.26 */
};

/*
 * Open net.ipv4.ip_unprivileged_port_start, or warn that /proc is missing.
 * `port` is the one that is served.
 */
void peer_open(in_port_t port);

/* Return the origin of a call to the address `to`, received on an interface. */
enum origin peer_origin(struct in_addr to, int ifindex);

/* Return true for the interface lo: the call is from this host. */
bool peer_is_lo(int ifindex);

/*
 * Fill in the origin of an accepted TCP connection.  Return true if it was
 * received on lo.
 */
bool peer_identify_tcp(int fd, struct peer *);

/*
 * Return the uid of the socket of a caller over UDP or TCP, or UID_UNKNOWN:
 * sockdiag_caller().
 */
uid_t peer_socket_uid(const struct peer *);

/* Fill in the caller of an accepted connection to the local socket. */
void peer_identify_local(int fd, struct peer *);

/*
 * Return net.ipv4.ip_unprivileged_port_start, below which source ports are
 * privileged; 0 if it is not known.
 */
unsigned peer_privileged_ports(void);

/* Return the IP_PKTINFO of a datagram, or NULL: ip(7). */
struct in_pktinfo *peer_pktinfo(struct msghdr *);

#endif
