# SPDX-License-Identifier: BSD-2-Clause
"""A well-behaved caller, and how long it has to wait while others attack."""
import contextlib
import pathlib
import threading
import time

import rpc
from lab import SANITIZED, TooSlow, judge_time, until
from rpc import UDP

WORST = 0.1  # seconds that a reply may take


class Caller(threading.Thread):
    """A caller that asks again and again, without retries, and counts what it
    loses and how long it waits.

    The attackers of a test share the CPUs with the daemon and with the caller;
    attackers on a real network do not.  Hence the time that either was ready to
    run and did not get a CPU does not count."""

    def __init__(self, daemon, client, call, loss):
        super().__init__()
        self.daemon_pid, self.client, self.call = daemon.pid, client, call
        self.waits, self.lost, self.loss, self.error = [], 0, loss, None
        self.over = threading.Event()

    def delayed(self):
        """Seconds for which the scheduler delayed the two: schedstats."""
        return sum(int(pathlib.Path(f"/proc/{task}/schedstat").read_text()
                       .split()[1]) / 1e9
                   for task in (self.daemon_pid, "thread-self"))

    def run(self):
        try:
            while not self.over.wait(0.005):
                delayed, began = self.delayed(), time.monotonic()
                try:
                    self.call(self.client)
                except TimeoutError:
                    if self.client.stream:
                        raise TooSlow("no reply over the connection") from None
                    self.lost += 1
                    continue
                self.waits.append(time.monotonic() - began -
                                  (self.delayed() - delayed))
        except Exception as error:
            self.error = error

    def judge(self, at_least=5 if SANITIZED else 20):
        """What it has seen since its start, which is a number of calls."""
        until(lambda: self.error or
              len(self.waits) + self.lost >= at_least, 20, "calling")
        if self.error:
            raise self.error
        if SANITIZED:
            return
        calls = len(self.waits) + self.lost
        if self.lost > self.loss * calls:
            raise TooSlow(f"{self.lost} of {calls} calls lost")
        worst = sorted(self.waits)[-5:]
        if worst and worst[-1] >= WORST:
            raise TooSlow(f"the longest waits, in seconds: {worst}")

    def stop(self):
        """Make no more calls, so that the daemon can rest."""
        self.over.set()
        self.join()


@contextlib.contextmanager
def calling(daemon, client, call=lambda c: c.getport(rpc.PMAP, 2, UDP),
            loss=0.01):
    """The caller of a whole block, judged at its end.  Of its calls, it may
    lose this part."""
    judge_time()
    client.sock.settimeout(10 if SANITIZED and client.stream else 0.5)
    caller = Caller(daemon, client, call, loss)
    caller.start()
    try:
        yield caller
        caller.judge()
    finally:
        caller.stop()
        client.sock.close()
