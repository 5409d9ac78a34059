/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DAEMON_H
#define DAEMON_H

/*
 * The process as init sees it: in the background, alone, with a pid file,
 * and ready when it says so.
 */

/*
 * Go to the background.  The parent stays until daemon_ready() and returns 0
 * to whoever started it, or 1 when the child ends without that.
 */
void daemon_start(void);

/*
 * Every door answers: write the pid file, let the parent go, and let go of
 * the terminal.
 */
void daemon_ready(void);

/*
 * Make `dir`, and in it the pid file and the lock that keeps a second instance
 * away.  When there is no right to make them, the daemon runs without; when
 * another one holds the lock and does not let go of it at once, this is fatal.
 */
void daemon_lock(const char *dir);

/* Nobody is to be killed by our pid any more. */
void daemon_unlock(void);

#endif
