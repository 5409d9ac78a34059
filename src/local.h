/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOCAL_H
#define LOCAL_H

#include <stdbool.h>

#include "listen.h"

/*
 * The local socket: /run/rpcbind.sock, and the abstract name
 * @/run/rpcbind.sock, which libtirpc 1.3.5 and Linux 6.5 try first.
 */

/*
 * Open each of the two that `set` does not contain, and add it.  Exit if
 * another port mapper serves the path.  Log a warning if one cannot be opened;
 * without the path, do not try the abstract name.
 */
void local_open(struct listen_sockets *set);

/* Return true if local_open() could not open the abstract name. */
bool local_is_missing(void);

/*
 * Try again to open the abstract name.  Return true, and store the socket, if
 * that succeeds.
 */
bool local_retry(struct listen_socket *);

/*
 * Tell the kernel to refuse SCM_RIGHTS on connections to this listener, which
 * it can from Linux 6.16 on: SO_PASSRIGHTS, net/core/sock.c.  Return false if
 * it does not.
 */
bool local_refuse_fds(int fd);

#endif
