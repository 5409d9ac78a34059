/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <rpc/pmap_prot.h>

#include "wire.h"

enum {
	LIST_MAX = 65536 /* entries; portmap has 16386 at most */
};

const struct option client_options[] = {{"help", 0, NULL, 'h'}, {0}};

int
client_resolve(const char *program, const char *host, in_port_t port,
    struct sockaddr_in *addr)
{
	const struct addrinfo hints = {
	    .ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int error = getaddrinfo(host, NULL, &hints, &found);

	if (error != 0) {
		fprintf(
		    stderr, "%s: %s: %s\n", program, host, gai_strerror(error));
		return (-1);
	}
	memcpy(addr, found->ai_addr, sizeof(*addr));
	freeaddrinfo(found);
	addr->sin_port = htons(port);
	return (0);
}

CLIENT *
client_open(const char *program, const char *host)
{
	int fd = RPC_ANYSOCK;
	struct sockaddr_in addr;
	CLIENT *client;

	if (client_resolve(program, host, PMAP_PORT, &addr) == -1)
		return (NULL);
	client = clnttcp_create(&addr, PMAP_PROG, PMAPVERS, &fd, 0, 0);
	if (client == NULL)
		fprintf(stderr, "%s: %s\n", program, clnt_spcreateerror(host));
	return (client);
}

/* The kernel notes the effective uid at connect(). */
static int
connect_as(int fd, const struct sockaddr_un *addr, uid_t uid)
{
	uid_t own = geteuid();
	int error;

	if (uid != own && seteuid(uid) == -1)
		return (-1);
	error = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == -1
		    ? errno
		    : 0;
	if (uid != own && seteuid(own) == -1)
		abort(); /* never continue as the wrong user */
	errno = error;
	return (error == 0 ? 0 : -1);
}

CLIENT *
client_open_local(const char *program, uid_t uid)
{
	struct sockaddr_un addr = {
	    .sun_family = AF_UNIX, .sun_path = PMAP_LOCAL_PATH};
	struct netbuf buf = {sizeof(addr), sizeof(addr), &addr};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLIENT *client;

	if (fd == -1 || connect_as(fd, &addr, uid) == -1) {
		fprintf(stderr,
		    "%s: cannot connect to " PMAP_LOCAL_PATH
		    " as uid %lu: %s\n",
		    program, (unsigned long)uid, strerror(errno));
		if (fd != -1)
			close(fd);
		return (NULL);
	}
	client = clnt_vc_create(fd, &buf, PMAP_PROG, PMAPVERS, 0, 0);
	if (client == NULL) {
		fprintf(stderr, "%s: %s\n", program,
		    clnt_sperrno(rpc_createerr.cf_stat));
		close(fd);
		return (NULL);
	}
	clnt_control(client, CLSET_FD_CLOSE, NULL);
	return (client);
}

enum clnt_stat
client_call(CLIENT *client, rpcproc_t proc, xdrproc_t encode, void *args,
    xdrproc_t decode, void *results)
{
	static const struct timeval timeout = {.tv_sec = 10};

	return (
	    clnt_call(client, proc, encode, args, decode, results, timeout));
}

/*
 * Append an entry.  Return it, or NULL when out of memory or at LIST_MAX.  The
 * room doubles each time that the count is a power of two: then it is used up.
 */
static struct mapping *
add_entry(struct client_mappings *list)
{
	size_t n = list->count;

	if (n == LIST_MAX)
		return (NULL);
	if ((n & (n - 1)) == 0) {
		struct mapping *more = reallocarray(
		    list->entries, n == 0 ? 1 : 2 * n, sizeof(*more));

		if (more == NULL)
			return (NULL);
		list->entries = more;
	}
	list->entries[n] = (struct mapping){.owner = UID_UNKNOWN};
	list->count++;
	return (&list->entries[n]);
}

/*
 * RFC 1833 section 3.1, pmaplist.  libtirpc's xdr_pmaplist() reads memory that
 * it has freed when it frees a list (1.3.7), and keeps 64 bits of a number.
 */
static bool_t
decode_mappings(XDR *xdrs, struct client_mappings *list)
{
	struct mapping *m;
	bool_t more;

	for (;;) {
		if (!xdr_bool(xdrs, &more))
			return (FALSE);
		if (!more)
			return (TRUE);
		if ((m = add_entry(list)) == NULL || !wire_mapping(xdrs, m))
			return (FALSE);
	}
}

enum clnt_stat
client_dump(CLIENT *client, struct client_mappings *list)
{
	enum clnt_stat stat;

	*list = (struct client_mappings){NULL, 0};
	stat = client_call(client, PMAPPROC_DUMP, (xdrproc_t)wire_void, NULL,
	    (xdrproc_t)decode_mappings, list);
	if (stat != RPC_SUCCESS) {
		free(list->entries);
		*list = (struct client_mappings){NULL, 0};
	}
	return (stat);
}
