# SPDX-License-Identifier: BSD-2-Clause
"""A mixed load on one daemon for tests/soak: random calls from all origins, of
which a model checks every reply."""
import contextlib
import os
import random
import signal
import socket
import struct
import time
from functools import partial

import lab
import rpc
from model import ANON, PROTECTED, Entry, Model
from rpc import PMAP, TCP, UDP, words

# what is done, and how often
LOAD = {"set": 30, "unset": 8, "getport": 20, "dump": 3, "null": 3, "callit": 6,
        "malformed": 8, "server": 8, "idle": 4, "burst": 1}
PROGRAMS = (PMAP, 0x20000000, 100003, 100024, *range(300000, 300012))
PORTS = (600, 1023, 2049, *range(20000, 20024))
ADDRESS, DIR, RUN = "192.168.77.1", "/run/soak", "/run/portmap"
SLOW = 0.05  # seconds, after which one asks why; TCP sends again after 0.2
NETWORK, LOOPBACK, LOCAL = "network", "loopback", "local socket"
KIND = {TCP: socket.SOCK_STREAM, UDP: socket.SOCK_DGRAM}
EVENTS = {"ready", "stopped", "counters", "verbose", "refused", "replaced",
          "stale", "swept", "evicted", "suppressed"}
VERBOSE = {"call", "callit", "badcall"}
REASONS = {"origin", "self", "range", "reserved", "holder", "protected",
           "program", "owner", "bound", "quota", "busy"}
SILENT, CLOSED = "no reply", "a closed connection"


def readable(x):
    """Show the results of a reply as words."""
    if isinstance(x, tuple):
        return [readable(y) for y in x]
    return list(rpc.unwords(x)) if isinstance(x, bytes) else x


class Difference(Exception):
    """Between what the model expects and what portmap does."""

    def __init__(self, expected, real):
        super().__init__(f"expected {readable(expected)}, got {readable(real)}")


def accepted(stat, body=b"", high=None):
    return ("accepted", stat, high, body)


def done(body=b""):
    return accepted(rpc.SUCCESS, body)


def denied(stat):
    return ("auth_error", stat, None, b"")


MISMATCH = accepted(rpc.PROG_MISMATCH, words(2, 2), 2)


class Daemon(lab.Portmap):
    """The daemon, whose log is read while it grows."""
    read, verbose = 0, False

    def news(self):
        """Return the new lines of the log, all of which are expected."""
        with open(self.log, "rb") as f:
            f.seek(self.read)
            text = f.read()
        text = text[:text.rfind(b"\n") + 1]
        self.read += len(text)
        parsed = []
        for line in text.decode().splitlines():
            event, keys = lab.parse(line)
            known = event in EVENTS or self.verbose and event in VERBOSE
            if not known or keys.get("reason", "busy") not in REASONS and \
                    event == "refused":
                raise Difference("no such line in the log", line)
            parsed.append((event, keys))
        return parsed

    def wait_for(self, event):
        return lab.until(lambda: next((
            keys for name, keys in self.news() if name == event), None),
            what=f"log line {event}")

    def counters(self):
        self.send(signal.SIGUSR2)
        return {k: int(n) for k, n in self.wait_for("counters").items()}


class Caller:
    """who: its identity; user: the uid of its socket."""

    def __init__(self, name, connect, origin=NETWORK, who=ANON, user=0):
        self.name, self.connect, self.origin = name, connect, origin
        self.who, self.user, self.client, self.used = who, user, None, 0

    def open(self):
        now = time.monotonic()
        # the daemon closes a connection after 30 seconds without a call
        if self.client is None or now - self.used > 20:
            self.close()
            self.client = self.connect()
            self.client.sock.settimeout(5 if self.client.stream else 1)
        self.used = now
        return self.client

    def close(self):
        if self.client:
            self.client.sock.close()
        self.client = None

    def reply(self):
        r = self.client.reply()
        return r.xid, (r.kind, r.stat, r.high, r.body)


class Load:
    """Two hosts, a daemon on the first, its callers, and the model."""

    def __init__(self, seed, scratch, *under):
        """under: the command that runs the daemon."""
        self.dice = random.Random(seed)
        self.scratch, self.under = scratch, under
        self.model, self.actions = Model(), LOAD
        self.a, self.b = a, b = lab.Host(), lab.Host()
        lab.connect_hosts(a, b)
        a.run(["sh", "-ec", f"mkdir {DIR} {RUN}; echo +0 >{DIR}/clock; "
               f"mount -t tmpfs -o size=640k tmpfs {RUN}; "
               "ip link add veth8 up type veth peer veth9; "
               "ip link set veth9 up"])
        self.callers = [
            *(Caller(f"local socket, uid {u}", partial(a.local, u), LOCAL, u, u)
              for u in (0, 102, 1001, 1002)),
            Caller("loopback UDP, root", a.root_udp, LOOPBACK, 0),
            Caller("loopback TCP, root", a.root_tcp, LOOPBACK, 0),
            Caller("loopback UDP, uid 0", a.udp, LOOPBACK, ANON, 0),
            Caller("loopback TCP, uid 0", a.tcp, LOOPBACK, ANON, 0),
            Caller("loopback UDP, uid 1001", partial(a.udp, uid=1001),
                   LOOPBACK, ANON, 1001),
            Caller("loopback TCP, uid 102", partial(a.tcp, uid=102),
                   LOOPBACK, 102, 102),
            Caller("loopback TCP, uid 1002", partial(a.tcp, uid=1002),
                   LOOPBACK, 1002, 1002),
            Caller("UDP to an own address", partial(a.udp, ADDRESS)),
            Caller("TCP to an own address", partial(a.tcp, ADDRESS))]
        self.remote = [Caller("network UDP", partial(b.udp, ADDRESS)),
                       Caller("network TCP", partial(b.tcp, ADDRESS))]
        self.steps = self.calls = self.lost = self.busy = self.starts = 0
        self.linked, self.calm, self.idle, self.waits = True, False, [], []
        self.what = "the start"
        self.start()

    def __str__(self):
        return f"step {self.steps}, {self.what}"

    def step(self):
        self.steps += 1
        actions = LOAD if self.calm else self.actions
        action, = self.dice.choices(list(actions), actions.values())
        self.run(action)

    def run(self, action):
        Load.last, self.what = self, action
        getattr(self, f"do_{action}")()

    def some_steps(self, count):
        """Load in the middle of some trouble."""
        self.calm = True
        for _ in range(count):
            self.step()
        self.calm = False
        self.daemon.news()

    # a call

    def all_callers(self):
        return self.callers + (self.remote if self.linked else [])

    def any_caller(self):
        return self.dice.choice(self.all_callers())

    def any_of(self, entries):
        """Uses as much of the dice however many there are."""
        return entries[int(self.dice.random() * len(entries))]

    def delayed(self):
        """Seconds for which the scheduler delayed the daemon and us."""
        return sum(int(os.pread(fd, 80, 0).split()[1])
                   for fd in self.schedstats) / 1e9

    def call(self, caller, what, data, *expected):
        """Send a call, and return its reply, which is one of the expected."""
        self.calls += 1
        self.what = f"{caller.name}: {what}"
        client, real = caller.open(), None
        delayed, began = self.delayed(), time.monotonic()
        if expected[0] == SILENT:
            return self.compare(client.silent(data), True)
        if expected[0] == CLOSED:
            self.compare(client.closed(rpc.record(data)), True)
            return caller.close()
        while real is None or real[0] != rpc.unwords(data[:4])[0]:
            if real is None:
                client.send(data)
            try:
                real = caller.reply()
            except socket.timeout:
                if client.stream or time.monotonic() - began > 3:
                    raise
                self.lost += 1
        wait = time.monotonic() - began - self.delayed() + delayed
        if wait > SLOW and self.resent(caller):
            self.lost += 1
        else:
            self.waits.append((wait, self.what))
        return self.compare(real[1], *expected)

    def resent(self, caller):
        """Did TCP send a call that took so long again, or its reply?"""
        sock, ends = caller.client.sock, ""
        if sock.family == socket.AF_INET and caller.client.stream:
            port = sock.getsockname()[1]
            ends = "".join(
                host.run(["ss", "-tinHO", f"sport = :{port} or dport = :{port}"])
                for host in (self.a, self.b))
        print(f"slow: {self}", ends, sep="\n", flush=True)
        caller.close()  # so that no later call is judged by this one
        return "retrans:" in ends

    def compare(self, real, *expected):
        if real not in expected:
            raise Difference(expected, real)
        return real

    def change(self, caller, what, data, after):
        """A SET or UNSET, after which these are the entries."""
        yes, no = (done(words(n)) for n in (1, 0))
        if caller.origin == NETWORK:
            self.call(caller, what, data, denied(rpc.TOOWEAK))
        elif after is None:
            self.call(caller, what, data, no)
        elif self.call(caller, what, data, yes,
                       *[no] * (caller.who != 0)) == yes:
            self.model.entries = after
        else:
            before = self.daemon.counters()["refused.busy"]
            if self.call(caller, what, data, yes, no) == yes:
                self.model.entries = after
            elif self.daemon.counters()["refused.busy"] == before:
                raise Difference(yes, no)
            else:
                self.busy += 1

    # the load

    def do_set(self):
        c, dice = self.any_caller(), self.dice
        own = [k for k, (uid, _) in self.model.servers.items() if uid == c.user]
        key = dice.choice(own) if own and dice.random() < .7 else (
            dice.choice((TCP, UDP, 7)), dice.choice((0, 65536, *PORTS)))
        self.set(c, dice.choice(PROGRAMS), dice.randrange(4), *key)

    def set(self, c, prog, vers, prot, port):
        dice, data = self.dice, rpc.mapping(prog, vers, prot, port)
        what, of = f"SET {prog} {vers} {prot} {port}", 2
        after = self.model.after_set(c.who, c.user,
                                     Entry(prog, vers, prot, port, c.who))
        if c.origin != NETWORK and prot != 7 and dice.random() < .5:
            netid = dice.choice(("udp6", "tcp6", "local", "none") +
                                ("tcp" if prot == TCP else "udp",) * 8)
            of, address = dice.choice((3, 4)), rpc.uaddr(port)
            data = rpc.rpcb(prog, vers, netid, address)
            what = f"version {of} SET {prog} {vers} {netid} {address}"
            if netid not in ("udp", "tcp"):
                after = None if netid == "none" or prog == PMAP else \
                    self.model.entries
        self.change(c, what, rpc.call(rpc.SET, data, vers=of), after)

    def do_unset(self):
        c, dice = self.any_caller(), self.dice
        prog, vers = self.any_of(self.model.entries)[:2] \
            if dice.random() < .5 else (dice.choice(PROGRAMS), 1)
        netid, of = "", 2
        data = rpc.mapping(prog, vers, dice.choice((0, TCP, UDP, 9)), 20000)
        if c.origin != NETWORK and dice.random() < .5:
            netid, of = dice.choice(("", "udp", "tcp", "udp6", "none")), 3
            data = rpc.rpcb(prog, vers, netid, "")
        prots = {"": [TCP, UDP], "udp": [UDP], "tcp": [TCP]}.get(netid, [])
        after = None if netid == "none" else self.model.after_unset(
            c.who, c.user, prog, vers, prots)
        self.change(c, f"version {of} UNSET {prog} {vers} {netid}",
                    rpc.call(rpc.UNSET, data, vers=of), after)

    def getport(self):
        pick = self.dice.choice
        key = pick(PROGRAMS), pick(range(5)), pick((TCP, UDP, 5))
        return (f"GETPORT {key}", rpc.call(rpc.GETPORT, rpc.mapping(*key, 0)),
                done(words(self.model.getport(*key))))

    def dump(self, c):
        data = rpc.call(rpc.DUMP, bytes(4 * self.dice.randrange(800)))
        body = self.model.dump()
        # a datagram to the network is at most as long as its call
        fits = c.origin != NETWORK or c.open().stream or \
            24 + len(body) <= len(data)
        return (f"DUMP of {len(data)} bytes", data,
                done(body) if fits else accepted(rpc.SYSTEM_ERR))

    def do_getport(self):
        self.call(self.any_caller(), *self.getport())

    def do_dump(self):
        c = self.any_caller()
        self.call(c, *self.dump(c))

    def do_null(self):
        self.call(self.any_caller(), "NULL", rpc.call(rpc.NULL), done())

    def do_callit(self):
        c, dice = self.any_caller(), self.dice
        e = self.any_of([e for e in self.model.entries if e.prot == UDP])
        proc, args = dice.choice((0, 0, 1, 700)), bytes(4 * dice.randrange(9))
        vers = dice.choice((*[e.vers] * 9, 99))
        stat = dice.choice((0, 0, 0, rpc.PROC_UNAVAIL))
        results = bytes(4 * dice.randrange(25))
        what = f"CALLIT {e.prog} {vers} {proc}"
        data = rpc.call(rpc.CALLIT, words(e.prog, vers, proc) +
                        rpc.opaque(args))
        if c.open().stream:
            self.call(c, what, data, accepted(rpc.PROC_UNAVAIL))
        elif c in self.remote or e.prog == PMAP or vers != e.vers or \
                self.model.holder(e) is None or e.prog in PROTECTED and proc:
            self.call(c, what, data, SILENT)
        else:
            self.calls, self.what = self.calls + 1, f"{c.name}: {what}"
            c.client.send(data)
            server = self.model.servers[UDP, e.port][1]
            request, source = server.recvfrom(9000)
            self.compare(request[4:], rpc.call(proc, args, e.prog, e.vers)[4:])
            server.sendto(request[:4] + words(1, 0, 0, 0, stat) + results,
                          source)
            if stat:  # no reply to this call, but to a later one
                c.client.send(rpc.call(rpc.NULL))
            self.compare(c.reply()[1], done() if stat else done(
                words(e.port) + rpc.opaque(results)))

    def do_malformed(self):
        c, pick = self.any_caller(), self.dice.randrange
        getport = rpc.call(rpc.GETPORT, rpc.mapping(PMAP, 2, UDP, 0))
        unreadable = CLOSED if c.open().stream else SILENT
        version = pick(1, 6)
        served = (2,) if c.origin == NETWORK else (2, 3, 4)
        self.call(c, *self.dice.choice((
            ("short", getport[:pick(1, 40)], unreadable),
            ("noise", b"\xff" * pick(1, 400), unreadable),
            ("a reply", rpc.call(0, direction=1), unreadable),
            ("truncated", getport[:pick(40, 56)], accepted(rpc.GARBAGE)),
            ("program", rpc.call(0, prog=100003), accepted(rpc.PROG_UNAVAIL)),
            (f"version {version}", rpc.call(0, vers=version),
             done() if version in served else MISMATCH),
            ("version 3 DUMP", rpc.call(4, vers=3), MISMATCH),
            ("procedure", rpc.call(pick(6, 99)), accepted(rpc.PROC_UNAVAIL)),
            ("RPC version", rpc.call(0, rpcvers=3),
             ("rpc_mismatch", None, 2, b"")),
            ("credential", rpc.call(0, cred=(6, bytes(20))),
             denied(rpc.REJECTEDCRED)),
            ("AUTH_SYS", rpc.call(0, cred=(1, bytes(4))),
             denied(rpc.BADCRED)))))

    def do_server(self):
        """A server binds a port, or ends."""
        pick = self.dice.choice
        key = prot, port = pick((TCP, UDP)), pick(PORTS)
        uid, addr = pick((0, 102, 1001, 1002)), pick(("0.0.0.0", ADDRESS))
        if key in self.model.servers:
            self.model.servers.pop(key)[1].close()
        else:
            # a CALLIT goes to the address to which its call went
            self.model.servers[key] = uid, self.a.bound(
                KIND[prot], port, addr if prot == TCP else "0.0.0.0", uid)

    def do_idle(self):
        """One more connection, with a part of a call; the oldest one ends."""
        c = self.dice.choice([c for c in self.all_callers() if c.open().stream])
        client = c.connect()
        client.null()
        client.sock.sendall(rpc.record(rpc.call(0))[:self.dice.randrange(44)])
        self.idle.append((client.sock, time.monotonic(), c))
        # the first five stay until the daemon has closed them
        at, reset = self.dice.randrange(5, 31), self.dice.random() < .5
        if time.monotonic() - self.idle[0][1] > 40:
            self.end_idle(0, False)
        if len(self.idle) > 30:
            self.end_idle(at, reset)

    def end_idle(self, at, reset):
        """By FIN or RST.  The daemon closes it after 30 s, if it is TCP."""
        sock, began, c = self.idle.pop(at)
        age = time.monotonic() - began
        sock.setblocking(False)
        try:
            real = sock.recv(9)
        except BlockingIOError:
            real = "open"
        if age < 25 or c.origin == LOCAL:
            self.compare(real, "open")
        elif age > 40:
            self.compare(real, b"")
        if c.origin != LOCAL and reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        sock.close()

    def do_burst(self):
        """All but one call without reading, and that one must not wait."""
        sent, last = [], self.any_caller()
        for c in self.all_callers():
            for what, data, expected in [self.getport() for _ in range(5)] + [
                    self.dump(c)]:
                if c is not last:
                    c.open().send(data)
                    sent.append((c, what, expected))
        self.call(last, "NULL in a burst", rpc.call(rpc.NULL), done())
        for c, what, expected in sent:
            self.calls, self.what = self.calls + 1, f"{c.name}: burst: {what}"
            self.compare(c.reply()[1], expected)

    # the daemon

    def start(self):
        # nothing is refused because it takes long: the CPU clock stands still
        under = self.under or (() if lab.VALGRIND else lab.refusing("cputime"))
        self.daemon = Daemon(self.a, under=under, log_dir=self.scratch)
        self.daemon.wait_ready()
        self.starts += 1
        self.own_fds = self.daemon.fds()
        for fd in getattr(self, "schedstats", []):
            os.close(fd)
        self.schedstats = [os.open(f"/proc/{task}/schedstat", os.O_RDONLY)
                           for task in (self.daemon.pid, "thread-self")]

    def stop(self):
        self.daemon.send(signal.SIGTERM)
        self.compare(self.daemon.process.wait(10), 0)
        self.daemon.news()

    def wait_for_reply(self, caller):
        def replies():
            caller.close()
            with contextlib.suppress(OSError):
                return caller.open().call(rpc.NULL)
        lab.until(replies, what=f"a reply to {caller.name}")

    def drop_stale(self):
        """From here on, stale entries are removed, and at last this one."""
        self.call(self.callers[0], "SET of a stale entry", rpc.call(
            rpc.SET, rpc.mapping(500000, 1, UDP, 21999)), done(words(1)))
        self.model.drop_stale()

    def wait_for_entries(self):
        """These are left, and no sweep is under way any more."""
        expected = [e[:4] for e in self.model.entries]
        deadline, real = time.monotonic() + 5, None
        while real != expected:
            real = self.callers[0].open().dump()
            if time.monotonic() > deadline:
                raise Difference(expected, real)
        self.daemon.send(signal.SIGHUP)
        self.daemon.wait_for("swept")

    def close_connections(self, callers=None):
        callers = callers or self.callers + self.remote
        for sock, _, c in self.idle:
            if c in callers:
                sock.close()
        self.idle = [i for i in self.idle if i[2] not in callers]
        for c in callers:
            if c.client and c.client.stream:
                c.close()

    def connections(self):
        return len(self.idle) + sum(
            c.client is not None and c.client.stream
            for c in self.callers + self.remote)

    def close(self):
        """Kill the daemon, and remove the hosts."""
        self.daemon.kill()
        for host in (self.a, self.b):
            host.close()
