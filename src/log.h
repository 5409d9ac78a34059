/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pmap.h"

/*
 * The log: each event has one function and one line, `event key=value ...`.
 * Addresses, uids and programs are numbers.  Warnings, at the start or about
 * the file of the mappings, are sentences.  portmap.8 explains each event to
 * the operator.
 */

/*
 * What the daemon did since its start.  USR2 logs it; log functions do not
 * count.
 */
struct counters {
	uint64_t calls[ORIGINS][PMAP_PROCS];
	uint64_t refused[VERDICTS]; /* SET and UNSET */
	uint64_t callits[CALLIT_OUTCOMES];
	uint64_t badcalls;   /* calls that are malformed or not served */
	uint64_t acl_denied; /* datagrams and connections denied by -a */
	uint64_t too_long;   /* replies that were too long to be sent */
	uint64_t evicted;    /* connections closed in favour of others */
	uint64_t idle;       /* connections closed after 30 s idle or blocked */
	uint64_t lost;       /* UDP replies that could not be sent */
	uint64_t in_debt;    /* UDP calls dropped because of a debt: debt.h */
};
extern struct counters counters;

/*
 * Create portmap.prom in the run directory.  log_counters() writes to it, too;
 * without it, there is only the line.
 */
void log_open_counters(int dir_fd);

/*
 * Connect to syslog (ident portmap, facility daemon), or in the foreground log
 * to stderr.  In the background, lines go to stderr as well until log_detach().
 * Writing a line never blocks.  Bytes that are not printable ASCII become '?'.
 */
void log_open(bool foreground);
void log_detach(void);

/* Log nothing to syslog: it is no failure of the daemon. */
void log_for_check(void);

void log_set_verbose(bool);
bool log_verbose(void);

/*
 * Log how many lines were suppressed, if any, once a second.  `now` in ms of
 * CLOCK_MONOTONIC.  Return the time of the next call, or INT64_MAX.
 */
int64_t log_tick(int64_t now);

/*
 * Log one line, to stderr and to syslog, and exit with status 1.  The line says
 * what failed, and what the operator can do about it.
 */
void log_fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* The same with status 2, after which another start would fail as well. */
void log_wrong_option(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* Log what the operator must know, and what to do about it. */
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void log_ready(
    unsigned port, const char *user, size_t entries, const char *sandbox);
void log_stopped(int sig, size_t entries);
void log_verbosity(void);

/* Log that the abstract name of the local socket is open now. */
void log_listening(void);

/* Log how many stale entries HUP has removed, and how many are left. */
void log_swept(size_t stale, size_t entries);

/* Log all counters, and the current numbers of these three things. */
void log_counters(size_t entries, size_t connections, size_t callits);

/*
 * In verbose mode, log a call; `m`, which is NULL if there is none, and
 * `result` depend on the procedure.
 */
void log_call(const struct peer *, uint32_t proc, const struct mapping *m,
    uint32_t result);

/* In verbose mode, log a step or the outcome of a CALLIT of this caller. */
void log_callit(enum callit_outcome, const struct peer *, uint32_t prog,
    uint32_t vers, uint32_t proc);

/*
 * Log an event, but at most five lines a second of each event and origin;
 * log_tick() begins a new second.  If the log is verbose, there is a line for
 * each caller who is denied, and there are bad calls.
 */
void log_stale(const struct mapping *);
void log_refused(
    const struct peer *, uint32_t proc, const struct mapping *m, enum verdict);
void log_replaced(const struct mapping *old, const struct mapping *by);
void log_denied(const struct peer *);
void log_badcall(const struct peer *, const char *reason);
void log_evicted(const struct peer *);
void log_debt(const struct peer *, int64_t us);
void log_skipped(const struct mapping *, enum verdict);
void log_error(const char *what, int error);

#endif
