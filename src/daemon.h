/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DAEMON_H
#define DAEMON_H

#include <stddef.h>
#include <stdint.h>

/*
 * The process as init sees it: in the background, alone, with a pid file,
 * and ready when it says so; or, under a service manager that speaks
 * sd_notify(3), in the foreground, with sockets that were opened for it.
 */

/*
 * How many sockets has init opened for this very process?  They are the
 * descriptors from DAEMON_INHERITED on: sd_listen_fds(3).
 */
enum {
	DAEMON_INHERITED = 3
};
int daemon_inherited(void);

/*
 * Go to the background.  The parent stays until daemon_ready() and returns 0
 * to whoever started it, or 1 when the child ends without that.
 */
void daemon_start(void);

/*
 * Make `dir`, and in it the pid file and the lock that keeps a second instance
 * away.  When there is no right to make them, the daemon runs without; when
 * another one holds the lock and does not let go of it at once, this is fatal.
 * Also finds the service manager's socket.
 */
void daemon_open(const char *dir);

/*
 * Every door answers, and there are `entries` in the table: write the pid
 * file, tell the service manager, let the parent go, and let go of the
 * terminal.
 */
void daemon_ready(size_t entries);

/*
 * Tell the service manager how many entries there are, once a second when that
 * changes.  `now` in ms; returns when to be called again, or INT64_MAX.
 */
int64_t daemon_tick(int64_t now, size_t entries);

/*
 * Ask the service manager to keep this connection open when we end, and to
 * hand it to our successor: FDSTORE=1, sd_notify(3).  Nothing happens without a
 * manager, or when it is busy.  It then holds a copy of `fd`, so a connection
 * is over only after shutdown(2).
 */
void daemon_keep(int fd);

/* We stop: nobody is to be killed by our pid any more. */
void daemon_close(size_t entries);

#endif
