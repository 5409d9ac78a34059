/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLIENT_H
#define CLIENT_H

#include <getopt.h>
#include <stddef.h>
#include <sys/types.h>

#include <netinet/in.h>

#include <rpc/rpc.h>

#include "pmap.h"

/*
 * The port mapper as the utilities see it: version 2, over TCP or on the local
 * socket.  client_open() and client_open_local() report errors on standard
 * error, after the name of `program`.
 */

/* For getopt_long(3): --help is the option h. */
extern const struct option client_options[];

/*
 * Look up the IPv4 address of `host`, and store it with `port`.  Return 0, or
 * -1 after a line on standard error.
 */
int client_resolve(const char *program, const char *host, in_port_t port,
    struct sockaddr_in *);

/*
 * Connect to the port mapper of `host`, a name or an IPv4 address, over TCP.
 * Return a handle for clnt_destroy(), or NULL after a line on standard error.
 */
CLIENT *client_open(const char *program, const char *host);

/*
 * Connect to the local socket of this host as the user `uid`, which the port
 * mapper sees as the owner of what is registered (SO_PEERCRED, unix(7)).  Only
 * root can name another uid than its own.  Return as client_open().
 */
CLIENT *client_open_local(const char *program, uid_t uid);

/* Call a procedure, and wait up to 10 seconds for the reply: rpc(3). */
enum clnt_stat client_call(CLIENT *, rpcproc_t proc, xdrproc_t encode,
    void *args, xdrproc_t decode, void *results);

/* What DUMP returned; free() `entries`.  The owners are not known. */
struct client_mappings {
	struct mapping *entries;
	size_t count;
};

/* Call DUMP.  On any result but RPC_SUCCESS there are no entries to free. */
enum clnt_stat client_dump(CLIENT *, struct client_mappings *);

#endif
