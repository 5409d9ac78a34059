/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEBT_H
#define DEBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pmap.h"

/*
 * Callers pay for what the kernel does for them within our system calls.  It
 * delivers a reply to a socket of this host within send(2), and that takes
 * long if thousands of sockets share its port, or thousands of processes watch
 * it.  So a caller on this host owes 200 times the CPU time of each system call
 * that took too long: more than 100 us (on a slow machine, 50 times what a
 * send() and a recv() took at the start), plus 1 us for 512 bytes, plus, for
 * each message, ten times the shortest one of late, because everything is slow
 * under a tracer.  Nobody who owes more than 0.5 s is served.  A caller is a
 * uid; over UDP, a source address and port; for CALLITs, see callit.c.  Root
 * never pays, if its uid or its source port shows that it is root.
 *
 * Packets of others do not count.  The kernel also receives what somebody else
 * sends within our system calls, so 5 us for each packet that this processor
 * received meanwhile are left out: /proc/net/softnet_stat.  Because of other
 * interrupts, the first slow call in ten seconds, if below 50 times as long,
 * costs no more than the 0.5 s, and short calls repay.  What counts is the
 * average.
 *
 * The CPU clock is expensive.  It is read for suspects only: a caller is one
 * for 16 system calls after any that took too long, by whichever clock.
 */

/*
 * Open /proc/net/softnet_stat.  Without it, callers can pay for a flood of
 * packets.  `random` is a secret.
 */
void debt_open(const char *softnet_stat, uint64_t random);

/* Begin a system call for a caller; NULL stands for several. */
void debt_begin(struct peer *);

/*
 * End it; it was for this many messages and bytes.  Return true if it took too
 * long; then this caller becomes a suspect, or is charged if already one.  Over
 * TCP this finds out the uid of the calling socket, and stores it in the peer.
 */
bool debt_end(struct peer *, unsigned messages, size_t bytes);

/* Return true if anybody may be a suspect, or in debt. */
bool debt_any(void);

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
