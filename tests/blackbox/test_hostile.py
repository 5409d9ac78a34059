# SPDX-License-Identifier: BSD-2-Clause
"""It keeps answering, whatever others do."""
import contextlib
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import textwrap
import threading
import time

import pytest

import rpc
from lab import LINGERING, NOBODY, ROOT, SANITIZED, until
from rpc import TCP, UDP

PROG = 300500
WORST = 0.1  # seconds
GROWTH = 8 * 1024  # KiB


class Probe:
    """A well-behaved client that asks GETPORT every 20 ms, from a host of its
    own choosing, and remembers the longest it had to wait."""

    def __init__(self, client):
        self.client, self.waits, self._over = client, [], threading.Event()
        client.sock.settimeout(10)
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.is_set():
            began = time.monotonic()
            assert self.client.getport(rpc.PMAP, 2, UDP) == 111
            self.waits.append(time.monotonic() - began)
            time.sleep(0.02)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self.client.sock.close()

    def judge(self, at_least=5):
        until(lambda: len(self.waits) >= at_least or
              not self._thread.is_alive(), 20, "probing")
        assert self._thread.is_alive(), "the probe got no answer"
        if not SANITIZED:
            assert max(self.waits) < WORST, sorted(self.waits)[-5:]


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def target(neighbours, start):
    """The daemon on one host, an attacker's host beside it."""
    a, b = neighbours
    daemon = start(a)
    daemon.expect("evicted ", "withheld ", "refused ")
    return a, b, daemon


@contextlib.contextmanager
def holding(daemon):
    """Afterwards every door answers within a second, and RSS and descriptors
    are what they were."""
    host = daemon.host
    with host.udp() as c:
        c.null()
    rss, fds = daemon.rss(), daemon.fds()
    yield
    began = time.monotonic()
    for door in (host.udp, host.tcp, host.local,
                 lambda: host.udp("192.168.77.1"),
                 lambda: host.tcp("192.168.77.1")):
        with door() as c:
            assert c.getport(rpc.PMAP, 2, TCP) == 111
    if not SANITIZED:
        assert time.monotonic() - began < 1
        assert daemon.rss() - rss < GROWTH
    until(lambda: daemon.fds() <= fds, what="descriptors given back")


def connections(host, n, to, family=socket.AF_INET, **kw):
    made = []
    for _ in range(n):
        with contextlib.suppress(OSError):
            made.append(host.socket(family, socket.SOCK_STREAM, connect=to,
                                    **kw))
    return made


def doors(a, b):
    return {"network": (b, ("192.168.77.1", 111), socket.AF_INET, {}),
            "loopback": (a, ("127.0.0.1", 111), socket.AF_INET, {}),
            "local": (a, "\0/run/rpcbind.sock", socket.AF_UNIX,
                      {"uid": NOBODY})}


DOORS = ["network", "loopback", "local"]


@pytest.mark.parametrize("door", DOORS)
def test_half_records(target, door):
    a, b, daemon = target
    host, to, family, kw = doors(a, b)[door]
    with holding(daemon), Probe(a.udp()) as probe:
        hogs = connections(host, 200, to, family, **kw)
        for i, s in enumerate(hogs):
            with contextlib.suppress(OSError):
                s.sendall(rpc.words(0x80000000 | 8000) + bytes(40 * i % 8000))
        probe.judge(20)
        # others still get in by that very door
        if door == "network":
            with a.tcp("192.168.77.1") as c:
                c.null()
        if door == "local":
            with a.local(1001) as c, a.local(0) as d:
                c.null()
                d.null()
        for s in hogs:
            s.close()
        probe.judge()


@pytest.mark.parametrize("door", DOORS)
def test_idle_connections(target, door):
    a, b, daemon = target
    host, to, family, kw = doors(a, b)[door]
    n = 500 if SANITIZED else 2000
    with holding(daemon), Probe(a.udp()) as probe:
        with a.local() as root:
            root.null()
            hogs = connections(host, n, to, family, **kw)
            probe.judge(20)
            daemon.rests()
            root.null()  # its connection is still there
        for s in hogs:
            s.close()
        probe.judge()


@pytest.mark.parametrize("door", DOORS)
def test_clients_that_never_read(target, door):
    a, b, daemon = target
    host, to, family, kw = doors(a, b)[door]
    with a.local() as c:
        for i in range(1000):
            c.set(PROG + i, 1, UDP, 5000)
        c.dump()
    with holding(daemon), Probe(a.udp()) as probe:
        hogs = connections(host, 20, to, family, **kw)
        call = rpc.record(rpc.call(rpc.DUMP)) * 100
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            for s in hogs:
                s.setblocking(False)
                with contextlib.suppress(OSError):
                    s.send(call)
        probe.judge(20)
        daemon.rests()
        for s in hogs:
            s.close()
        probe.judge()


@pytest.mark.parametrize("door", DOORS)
def test_connect_and_reset_storm(target, door):
    a, b, daemon = target
    host, to, family, kw = doors(a, b)[door]
    with holding(daemon), Probe(a.udp()) as probe:
        for i in range(1000):
            with contextlib.suppress(OSError):
                s = host.socket(family, socket.SOCK_STREAM, connect=to, **kw)
                if i % 2:
                    s.send(rpc.record(rpc.call(rpc.DUMP)) * 3)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
                s.close()
        probe.judge()


def test_reset_before_the_answer(host, daemon):
    """No SIGPIPE."""
    for _ in range(50):
        c = host.tcp()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
        c.sock.sendall(rpc.record(rpc.call(rpc.DUMP)) * 200)
        c.sock.close()
    with host.udp() as c:
        c.null()


FLOODS = {
    "noise": b"\xff" * 64,
    "empty": b"",
    "short": b"x" * 39,
    "dump": rpc.call(rpc.DUMP),
    "padded dump": rpc.call(rpc.DUMP, bytes(8000)),
    "set": rpc.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000)),
    "gss": rpc.call(0, cred=(6, rpc.words(1, 1, 0, 1, 0))),
    "des": rpc.call(0, cred=(3, bytes(40))),
}


@pytest.mark.parametrize("what", FLOODS)
def test_datagram_floods(target, what):
    a, b, daemon = target
    n = 5000 if SANITIZED else 25000
    with holding(daemon), Probe(a.tcp()) as probe:
        with b.udp("192.168.77.1") as c:
            c.sock.settimeout(0)
            for _ in range(n):
                with contextlib.suppress(OSError):
                    c.sock.send(FLOODS[what])
        probe.judge()
    assert len(daemon.lines()) < 100, "a flood is not to fill the log"


def test_nothing_is_amplified(target):
    """Whatever a stranger sends in a datagram, no more comes back."""
    a, b, _ = target
    with a.local() as c:
        for i in range(200):
            c.set(PROG + i, 1, UDP, 5000)
    questions = [rpc.call(proc, args, prog=prog, vers=vers, cred=cred)
                 for prog in (rpc.PMAP, 100003) for vers in (1, 2, 3, 4)
                 for proc in range(0, 14)
                 for args in (b"", rpc.mapping(PROG, 1, UDP, 0),
                              rpc.rpcb(PROG, 1, "udp", ""))
                 for cred in (rpc.NONE, rpc.authsys(), (6, bytes(20)),
                              (1, b""), (3, b""))]
    questions += [rpc.call(0, rpcvers=3), rpc.call(rpc.DUMP, bytes(4000)),
                  b"", b"x" * 40]
    with b.udp("192.168.77.1") as c:
        for q in questions:
            probe = rpc.call(rpc.NULL)
            c.send(q)
            c.send(probe)
            answers = []
            while not answers or answers[-1][:4] != probe[:4]:
                answers.append(c.receive())
            assert len(answers) <= 2
            assert sum(map(len, answers[:-1])) <= len(q)
        # a question that is long enough gets the whole list
        reply = c.call(rpc.DUMP, bytes(28 + 20 * 202 - 40))
        assert len(rpc.parse_dump(reply.body)) == 202
        reply = c.call(rpc.DUMP, bytes(28 + 20 * 202 - 44))
        assert reply.stat == rpc.SYSTEM_ERR
    # at the loopback door nobody can be hit
    with a.udp() as c:
        assert len(c.dump()) == 202


def test_greedy_uid_at_the_local_door(target):
    """root's connections and well-behaved uids' are not the victims."""
    a, _, daemon = target
    with a.local(0) as root, a.local(1001) as good:
        root.null()
        good.null()
        hogs = connections(a, 600, "\0/run/rpcbind.sock", socket.AF_UNIX,
                           uid=NOBODY)
        root.null()
        good.null()
        assert daemon.fds() < 300
        for s in hogs:
            s.close()
    daemon.expect_line(rf"evicted from=uid:{NOBODY},pid:\d+ door=local")


def test_greedy_address_at_the_network_door(target):
    a, b, daemon = target
    with a.tcp("192.168.77.1") as good:
        good.null()
        hogs = connections(b, 400, ("192.168.77.1", 111))
        good.null()
        for s in hogs:
            s.close()
    daemon.expect_line(r"evicted from=192.168.77.2:\d+ door=network")


@pytest.mark.plain
def test_system_calls_a_request(target, tmp_path):
    """UDP GETPORT under load, eight outstanding, and one at a time."""
    a, _, daemon = target
    for outstanding, most in ((8, 1.0), (1, 3.1)):
        out = tmp_path / f"strace{outstanding}"
        with traced(daemon, out), a.udp() as c:
            n = 2000
            question = rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0))
            for _ in range(n // outstanding):
                for _ in range(outstanding):
                    c.send(question)
                for _ in range(outstanding):
                    c.receive()
        calls = len(out.read_text().splitlines())
        assert calls / n <= most, calls / n


def test_few_descriptors(host, start):
    """With 64 all caps shrink in proportion, and it still answers."""
    daemon = start(host, before=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (64, 64)))
    daemon.expect("evicted ", "withheld ")
    with Probe(host.udp()) as probe, host.local() as root:
        root.null()
        hogs = connections(host, 100, ("127.0.0.1", 111))
        hogs += connections(host, 100, "\0/run/rpcbind.sock", socket.AF_UNIX,
                            uid=NOBODY)
        probe.judge()
        assert daemon.fds() < 64
        root.null()
        for s in hogs:
            s.close()
    code, out = host.run([daemon.process.args[0], "-f", "-p", "999"],
                         check=False, before=lambda: resource.setrlimit(
                             resource.RLIMIT_NOFILE, (63, 63)))
    assert code == 1 and "descriptors" in out
    # and with far more than select() can use it takes what it can use

    def plenty():
        with contextlib.suppress(ValueError):  # else what there is: plenty
            resource.setrlimit(resource.RLIMIT_NOFILE, (1000000, 1000000))
    other = start(host, "-p", "998", before=plenty)
    limits = pathlib.Path(f"/proc/{other.pid}/limits").read_text()
    assert re.search(r"open files +1024 ", limits)


LINGER = """
import os, socket, sys
for _ in range(30):
    if os.fork():
        continue
""" + textwrap.indent(LINGERING, "    ") + """
    try:
        socket.send_fds(u, [sys.argv[1].encode()], [fd])
    except PermissionError:
        pass
    os.close(fd)  # if it is not the last, the last one lingers
    l.accept()
"""


@pytest.mark.parametrize("byte", ["x", "xxxxx"])
def test_descriptors_that_linger(target, byte):
    """A TCP socket with SO_LINGER, sent to us and closed by nobody else."""
    a, _, daemon = target
    with Probe(a.udp()) as probe:
        with a.popen(["/usr/bin/python3", "-c", LINGER, byte],
                     uid=NOBODY, stderr=subprocess.DEVNULL) as p:
            p.wait(30)
        probe.judge(100)


@pytest.mark.plain
@pytest.mark.parametrize("byte", ["x", "xxxxx"])
def test_descriptors_that_linger_and_cannot_be_refused(host, start, byte):
    """As above, on a kernel before 6.16."""
    trace = host.path("/run/trace")
    local_doors = "5..6"  # by the setsockopt() calls of a start
    daemon = start(host, under=[
        "strace", "-D", "-f", "--seccomp-bpf", "-o", "/run/trace",
        "-e", "trace=setsockopt", "-e",
        f"inject=setsockopt:error=ENOPROTOOPT:when={local_doors}"])
    refused = [line for line in trace.read_text().splitlines()
               if "INJECTED" in line]
    assert len(refused) == 2
    assert all(re.search("0x53|SO_PASSRIGHTS", line) for line in refused)
    with Probe(host.udp()) as probe:
        with host.popen(["/usr/bin/python3", "-c", LINGER, byte],
                        uid=NOBODY, stderr=subprocess.DEVNULL) as p:
            p.wait(30)
        probe.judge(100)
    daemon.stop()


def test_costly_changes_are_shared_out(target):
    """SETs that make us ask the kernel, pipelined by one uid on all the
    connections that it can get."""
    a, _, daemon = target
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(a.bound(socket.SOCK_DGRAM))
        for _ in range(2000):
            stack.enter_context(a.bound(socket.SOCK_DGRAM))
        with a.local(NOBODY) as c:
            assert c.set(PROG, 1, UDP, busy.getsockname()[1]) == 1
        probe = stack.enter_context(Probe(a.udp()))
        hogs = connections(a, 150, "\0/run/rpcbind.sock", socket.AF_UNIX,
                           uid=NOBODY)
        calls = b"".join(
            rpc.record(rpc.call(rpc.SET, rpc.mapping(PROG, 1, UDP, port)))
            for port in (1, 2000, 600) * 80)
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            for s in hogs:
                s.setblocking(False)
                with contextlib.suppress(OSError):
                    s.send(calls)
                with contextlib.suppress(OSError):
                    s.recv(65536)
        probe.judge(20)
        for s in hogs:
            s.close()


def test_nobody_can_hold_the_lock(host, start):
    """What others can open they could lock, and keep us from starting."""
    daemon = start(host)
    for name in ("portmap.pid", "lock"):
        path = f"/run/portmap/{name}"
        script = (f"import fcntl; f = open('{path}'); "
                  f"print('opened', flush=True); "
                  f"fcntl.flock(f, fcntl.LOCK_SH); input()")
        with host.popen(["/usr/bin/python3", "-c", script], uid=NOBODY,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL) as p:
            p.stdout.readline()
            daemon.stop()
            daemon = start(host)
            p.stdin.close()


def test_a_local_user_with_a_million_addresses(target):
    """All of 127.0.0.0/8 is one source."""
    a, b, daemon = target
    with b.tcp("192.168.77.1") as good, b.tcp("192.168.77.1") as good2:
        good.null()
        good2.null()
        hogs = []
        for i in range(300):
            with contextlib.suppress(OSError):
                hogs.append(a.socket(
                    socket.AF_INET, socket.SOCK_STREAM,
                    bind=(f"127.1.{i // 200}.{i % 200 + 1}", 0),
                    connect=("127.0.0.2", 111)))
        good.null()
        good2.null()
        for s in hogs:
            s.close()


def test_one_byte_each_100_ms(target):
    """A call that never comes to an end keeps nobody waiting, and does not
    count as activity."""
    a, b, daemon = target
    with holding(daemon), Probe(a.udp()) as probe:
        hogs = connections(b, 20, ("192.168.77.1", 111))
        data = rpc.words(1) + b"x"  # fragments of one byte, without end
        for i in range(10):
            for s in hogs:
                with contextlib.suppress(OSError):
                    s.send(data[i % 5:i % 5 + 1])
            time.sleep(0.1)
        probe.judge()
        for s in hogs:
            s.close()


@pytest.mark.plain
def test_idle_connections_are_closed_after_30_s(target):
    a, b, daemon = target
    daemon.expect("refused ")
    with b.tcp("192.168.77.1") as network, a.tcp() as loopback, \
            a.local(NOBODY) as local, a.local() as debtor:
        for c in (network, loopback, local):
            c.null()
        for i in range(1000):
            debtor.set(PROG + i, 1, UDP, 5000)
        debtor.sock.setblocking(False)
        with contextlib.suppress(OSError):
            while True:  # asks, and does not read
                debtor.sock.send(rpc.record(rpc.call(rpc.DUMP)) * 100)
        began = time.monotonic()
        network.sock.settimeout(40)
        assert network.closed()
        assert 25 < time.monotonic() - began < 35
        loopback.sock.settimeout(5)
        assert loopback.closed()
        local.null()
        debtor.sock.settimeout(5)

        def dropped():
            try:
                debtor.sock.send(b"x")
                return False
            except OSError:
                return True
        until(dropped, 10, "dropped for not reading")


@pytest.mark.plain
@pytest.mark.parametrize("kind", ["tcp", "local"])
def test_out_of_descriptors_at_accept(host, start, kind):
    """It does not spin, and goes on when there are some."""
    daemon = start(host, "-u", "root")  # ours, so its limit is ours to set
    daemon.expect("trouble with=accept error=Too many open files", "withheld ")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE,
                     (daemon.fds(), 1024))
    with getattr(host, kind)() as c:
        daemon.expect_line("trouble with=accept")
        daemon.rests()
        with host.udp() as u:
            u.null()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        c.null()


@contextlib.contextmanager
def traced(daemon, out, *options):
    """strace follows the daemon."""
    with subprocess.Popen(["strace", "-qq", "-f", "-p", str(daemon.pid),
                           "-o", out, *options]) as tracer:
        until(lambda: daemon.status()["TracerPid"] != "0")
        try:
            yield
        finally:
            tracer.terminate()


@pytest.mark.plain
@pytest.mark.parametrize("error, text", [
    ("ENFILE", "Too many open files in system"),
    ("ENOBUFS", "No buffer space available"),
    ("ENOMEM", "Cannot allocate memory"),
    # the kernel would not say these of the same connection for ever
    ("ECONNABORTED", "Software caused connection abort"),
    ("EACCES", "Permission denied")])
def test_accept_fails(host, daemon, tmp_path, error, text):
    """It does not spin, whatever the reason, and others are served."""
    daemon.expect("withheld ")
    out = tmp_path / "strace"
    with contextlib.ExitStack() as stack:
        with traced(daemon, out, "-e", "trace=all", "-e",
                    f"inject=accept4,accept:error={error}"):
            waiting = [stack.enter_context(door())
                       for door in (host.tcp, host.local) * 3]
            daemon.expect_line(f"trouble with=accept error={text}")
            for _ in range(10):
                with host.udp() as u:
                    u.null()
                time.sleep(0.1)
        # in some 1.2 s: two breaks, and ten calls
        assert len(out.read_text().splitlines()) < 200
        for c in waiting:
            c.null()


@pytest.mark.plain
def test_no_other_system_calls(target, tmp_path):
    """Once ready it makes those of src/init/syscalls and no others."""
    a, b, daemon = target
    listed = (ROOT / "src/init/syscalls").read_text().split("# ----")[0]
    allowed = set(re.findall(r"^\w+", listed, re.M))
    daemon.expect("verbose ", "call ", "callit ", "counters ", "dropped ",
                  "dead ", "replaced ")
    out = tmp_path / "strace"
    with traced(daemon, out):
        with a.local() as root, a.local(NOBODY) as nobody, a.udp() as anon, \
                a.root_udp() as low, b.tcp("192.168.77.1") as far, \
                a.bound(socket.SOCK_DGRAM) as service:
            port = service.getsockname()[1]
            daemon.send(signal.SIGUSR1)
            root.set(PROG, 1, UDP, port)
            for c in (nobody, anon, low):
                c.set(PROG + 1, 1, UDP, 600)
                c.set(PROG, 1, UDP, 5000)
                c.unset(PROG, 1)
            root.set(PROG, 1, UDP, port)
            anon.send(rpc.call(rpc.CALLIT, rpc.words(PROG, 1, 0, 0)))
            request, source = service.recvfrom(1000)
            service.sendto(request[:4] + rpc.words(1, 0, 0, 0, 0), source)
            anon.receive()
            daemon.send(signal.SIGUSR1)
            for i in range(1500):  # the journal is written anew
                root.set(PROG + 2, 1, UDP, 5000)
                root.unset(PROG + 2, 1)
            root.set(PROG + 2, 1, UDP, 5000)
            daemon.send(signal.SIGHUP)
            daemon.send(signal.SIGUSR2)
            a.run(["ip", "addr", "add", "10.9.8.7/24", "dev", "veth0"])
            for i in range(1000):
                root.set(PROG + 10 + i, 1, UDP, port)
            far.dump()
            for s in connections(b, 220, ("192.168.77.1", 111)):
                s.close()
        daemon.stop()
    made = {m.group(1) for m in re.finditer(r"^\d+ +(\w+)\(", out.read_text(),
                                            re.M)}
    assert made - allowed == set()
    assert {"recvmmsg", "renameat2", "write", "setitimer"} & made


@pytest.mark.plain
@pytest.mark.parametrize("jump", ["-400d", "+400d"])
def test_the_wall_clock_jumps(neighbours, start, jump):
    """Nothing is measured by it: neither idle connections nor CALLITs."""
    a, b = neighbours
    clock = a.path("/run/clock")
    clock.write_text("+0")
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    daemon = start(a, "-v", under=[
        "env", f"LD_PRELOAD={library}", "FAKETIME_TIMESTAMP_FILE=/run/clock",
        "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"])
    daemon.expect("call ", "callit ")
    with b.tcp("192.168.77.1") as idle, a.local() as root, \
            a.bound(socket.SOCK_DGRAM) as service, a.udp() as caller:
        idle.null()
        root.set(PROG, 1, UDP, service.getsockname()[1])
        for _ in range(2):
            caller.send(rpc.call(rpc.CALLIT, rpc.words(PROG, 1, 0, 0)))
            request, source = service.recvfrom(1000)
        clock.write_text(jump)
        service.sendto(request[:4] + rpc.words(1, 0, 0, 0, 0), source)
        assert len(caller.receive()) > 24
        daemon.rests()
        daemon.expect_line("callit expired ")
        idle.null()


def test_signals_all_the_time(target):
    """Whatever it does, it is interrupted in it."""
    a, b, daemon = target
    daemon.expect("verbose ", "call ", "callit ", "counters ", "dropped ",
                  "dead ", "replaced ")
    over = threading.Event()

    def interrupt():
        while not over.is_set():
            for sig in (signal.SIGHUP, signal.SIGUSR2, signal.SIGPIPE,
                        signal.SIGUSR1, signal.SIGUSR1, signal.SIGCHLD,
                        signal.SIGWINCH, signal.SIGSTOP, signal.SIGCONT):
                daemon.send(sig)
            time.sleep(0.0005)
    thread = threading.Thread(target=interrupt)
    with holding(daemon), a.bound(socket.SOCK_DGRAM) as service:
        port = service.getsockname()[1]
        thread.start()
        try:
            with a.local() as root, b.tcp("192.168.77.1") as far, \
                    b.udp("192.168.77.1") as caller:
                for i in range(200):
                    assert root.set(PROG + i, 1, UDP, port) == 1
                    assert len(far.dump()) == i + 3
                    caller.send(rpc.call(rpc.CALLIT,
                                         rpc.words(PROG + i, 1, 0, 0)))
                    request, source = service.recvfrom(1000)
                    service.sendto(request[:4] + rpc.words(1, 0, 0, 0, 0),
                                   source)
                    assert rpc.unwords(caller.receive()[-8:]) == (port, 0)
                    for s in connections(b, 3, ("192.168.77.1", 111)):
                        s.close()
        finally:
            over.set()
            thread.join()


def test_routed_sources_get_no_more_than_they_asked_with(target):
    a, b, _ = target
    b.run(["ip", "addr", "add", "192.0.2.7/32", "dev", "veth0"])
    a.run(["ip", "route", "add", "192.0.2.0/24", "via", "192.168.77.2"])
    with a.local() as c:
        for i in range(50):
            c.set(PROG + i, 1, UDP, 5000)
    with b.udp("192.168.77.1", source="192.0.2.7") as c:
        for proc in range(8):
            for args in (b"", rpc.mapping(PROG, 1, UDP, 0),
                         rpc.words(PROG, 1, 0, 0)):
                q, probe = rpc.call(proc, args), rpc.call(rpc.NULL)
                c.send(q)
                c.send(probe)
                answers = [c.receive()]
                while answers[-1][:4] != probe[:4]:
                    answers.append(c.receive())
                assert sum(map(len, answers[:-1])) <= len(q)
                assert len(answers) <= 2
