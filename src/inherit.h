/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INHERIT_H
#define INHERIT_H

#include "listen.h"

/*
 * Socket activation: sd_listen_fds(3).  Add the `count` inherited sockets, from
 * descriptor LISTEN_FDS_START on, to `set`, and set the same options as on
 * sockets that we open.  Log a warning for one that cannot be used, and close
 * it.
 */
void inherit_sockets(int count, in_port_t port, struct listen_sockets *set);

#endif
