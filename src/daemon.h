/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The process as init sees it: a background process with a pid file and a lock;
 * or in the foreground, under a service manager, with socket activation and
 * readiness notification.  Only daemon_open() needs privileges.
 */

/* Close all descriptors from `first` to `last`: close_range(2). */
void daemon_close_range(int first, int last);

/*
 * Go to the background.  The parent waits for daemon_ready() and exits with 0,
 * or, if the child ends before that, with the child's status.
 */
void daemon_start(void);

/*
 * Connect to the service manager (NOTIFY_SOCKET).  Create the directory `dir`,
 * the pid file in it, and the lock that excludes a second instance.  If the
 * directory is that of `uid`, the user of an earlier portmap, root takes it.
 * Return the directory; without the right to create all of this, -1 after a
 * warning.  If another instance holds the lock for 700 ms, this is fatal.
 */
int daemon_open(const char *dir, uid_t uid);

/*
 * Report that all sockets are served: write the pid file, and notify the
 * service manager.  In the background also let the parent exit, and detach from
 * the terminal.
 */
void daemon_ready(void);

/*
 * Notify the service manager if its queue was full until now.  `now` in ms of
 * CLOCK_MONOTONIC.  Return the time of the next call, or INT64_MAX.
 */
int64_t daemon_tick(int64_t now);

/*
 * Ask the service manager to hold a copy of this connection, and to pass it to
 * our successor: FDSTORE=1, sd_notify(3).  From then on the
 * connection only ends by shutdown(2).  Without a manager this does nothing.
 */
void daemon_store_fd(int fd);

/* Notify the service manager that we stop. */
void daemon_stopping(void);

#endif
