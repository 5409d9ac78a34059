/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOGSINK_H
#define LOGSINK_H

#include <stdbool.h>

/*
 * Where log lines go: to syslog (ident portmap, facility daemon), or to stderr
 * in the foreground.  Writing a line never blocks.
 */

enum {
	LOGSINK_LINE = 1536 /* bytes of the longest line, with its end */
};

/*
 * Connect to syslog, unless in the foreground.  In the background, lines go to
 * stderr as well until logsink_detach().
 */
void logsink_open(bool foreground);
void logsink_detach(void);

/* From now on write to both syslog and stderr: used before a fatal exit. */
void logsink_use_all(void);

/*
 * Write a line without its end, or drop it if there is no room.  `level` is one
 * of syslog(3).  Bytes of `line` that are not printable ASCII become '?'.
 */
void logsink_write(int level, char *line);

#endif
