/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEBT_H
#define DEBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pmap.h"

/*
 * Callers pay for what the kernel does for them within our system calls.  It
 * delivers a reply to a socket of this host within send(2), and that takes a
 * long time if thousands of sockets share its port, or thousands of processes
 * watch it.  A system call is slow if it takes more than 100 us (on a slow
 * machine, 50 times what a send() and a recv() took at the start), plus a fifth
 * of that for each message after the first, plus 1 us for 512 bytes.  The
 * caller on this host for whom it was made is charged 200 times its CPU time,
 * and is not served while the debt exceeds 0.5 s.  A caller is a uid; over UDP,
 * a source address and port; for CALLITs, see callit.c.  Root is exempt if its
 * uid or its source port shows that it is root.
 *
 * Packets of others do not count.  The kernel also receives what somebody else
 * sends within our system calls, so 5 us for each packet that this processor
 * received meanwhile are left out: /proc/net/softnet_stat.  Other interrupts
 * make calls slow, too, and so does a cold cache.  So the first slow call in
 * ten seconds is charged at most 0.25 s, which leaves room for some smaller
 * ones, unless it took 50 times the limit; and each call of a suspect that is
 * not slow takes back a tenth of what one at the limit costs: 2 ms.  What
 * counts is the average.
 *
 * The CPU clock is expensive.  It is read for suspects only: a caller is one
 * for 16 system calls after any that was slow, by whichever clock.
 *
 * These functions may find out the uid of a caller over TCP, and store it in
 * the peer.
 */

/*
 * Open /proc/net/softnet_stat.  Without it, callers can pay for a flood of
 * packets.  `random` is a secret.
 */
void debt_open(const char *softnet_stat, uint64_t random);

/* Begin a system call for a caller; NULL stands for several. */
void debt_begin(struct peer *);

/*
 * End it; it was for this many messages and bytes.  Return true if it was slow;
 * then this caller becomes a suspect, or is charged if already one.
 */
bool debt_end(struct peer *, unsigned messages, size_t bytes);

/*
 * Find out who calls over loopback: peer_socket_uid(), which takes long if
 * thousands of sockets are in the way.
 */
uid_t debt_identify(struct peer *);

/* Suspect one of several callers, for whom debt_end() returned true. */
void debt_suspect(struct peer *);

/* Return true if the replies to this caller must be sent one by one. */
bool debt_is_suspect(struct peer *);

/*
 * Return when a caller is served again, in ms of CLOCK_MONOTONIC, or 0 for
 * now; always 0 for NULL.
 */
int64_t debt_until(struct peer *);

#endif
