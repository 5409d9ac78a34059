/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pmap.h"

/*
 * The log: one function an event, one line an event, `event key=value ...`,
 * numbers only; but for the warnings that a start or the journal can give,
 * which are sentences.  It goes to syslog (ident portmap, facility daemon), or
 * to stderr in the foreground, and never waits for either.  portmap.8 explains
 * each event to the operator; what is added here is added there.
 */

/*
 * Connect to syslog.  In the foreground the log goes to stderr, else to
 * syslog, and to stderr as well until log_detach().
 */
void log_open(bool foreground);
void log_detach(void);

void log_set_verbose(bool);
bool log_verbose(void);

/*
 * Say how many lines were left out, when there were any and a second has
 * passed.  `now` in ms of CLOCK_MONOTONIC; returns when to be called again,
 * or INT64_MAX.
 */
int64_t log_tick(int64_t now);

/*
 * Cannot start: one line, to stderr and to syslog, that says what to do.
 * Exits with status 1.
 */
void log_fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* Something the operator should read, once, and what to do about it. */
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void log_ready(unsigned port, const char *user, size_t entries);
void log_stopped(int sig, size_t entries);
void log_verbosity(void);
void log_stats(size_t entries, size_t connections, size_t forwards);

/* Each call, in verbose mode; `m` and `result` mean what proc says. */
void log_call(const struct peer *, uint32_t proc, const struct mapping *m,
    uint32_t result);

/* What became of a CALLIT of `from`: counted, and logged in verbose mode. */
void log_callit(enum callit, const struct sockaddr_in *from, uint32_t prog,
    uint32_t vers, uint32_t proc);

/* An entry is dropped because nothing is bound to its port. */
void log_dead(const struct mapping *);

/* The following are limited to a few lines a second. */
void log_refused(
    const struct peer *, uint32_t proc, const struct mapping *m, enum why);
void log_replaced(const struct mapping *old, const struct mapping *by);
void log_dropped(const struct peer *, const char *why);
void log_evicted(const struct peer *);
void log_skipped(size_t line, const char *why);
void log_trouble(const char *what, int error);

#endif
