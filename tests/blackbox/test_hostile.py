# SPDX-License-Identifier: BSD-2-Clause
"""It keeps replying, whatever others do."""
import contextlib
import ctypes
import errno
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import sysconfig
import threading
import time

import pytest

import rpc
from caller import calling
from lab import INTEROP, NOBODY, PORTMAP, SANITIZED, \
    WITHOUT_DEBT, WITHOUT_PASSRIGHTS, need, refusing, traced, until
from rpc import TCP, UDP

PROG = 300500
GROWTH = 8 * 1024  # KiB


@contextlib.contextmanager
def holding(daemon):
    """Afterwards every origin replies, and RSS and descriptors are what they
    were."""
    host = daemon.host
    with host.udp() as c:
        c.null()
    rss, fds = daemon.rss(), daemon.fds()
    yield
    for origin in (host.udp, host.tcp, host.local,
                   lambda: host.udp("192.168.77.1"),
                   lambda: host.tcp("192.168.77.1")):
        with origin() as c:
            assert c.getport(rpc.PMAP, 2, TCP) == 111
    if not SANITIZED:
        assert daemon.rss() - rss < GROWTH
    until(lambda: daemon.fds() <= fds, what="descriptors given back")


def connections(host, n, to, family=socket.AF_INET, **kw):
    made = []
    for _ in range(n):
        with contextlib.suppress(OSError):
            made.append(host.socket(family, socket.SOCK_STREAM, connect=to,
                                    **kw))
    return made


def origins(a, b):
    return {"network": (b, ("192.168.77.1", 111), socket.AF_INET, {}),
            "loopback": (a, ("127.0.0.1", 111), socket.AF_INET, {}),
            "local": (a, "\0/run/rpcbind.sock", socket.AF_UNIX,
                      {"uid": NOBODY})}


ORIGINS = ["network", "loopback", "local"]


@pytest.mark.slow
@pytest.mark.parametrize("origin", ORIGINS)
def test_half_records(target, origin):
    a, b, daemon = target
    host, to, family, kw = origins(a, b)[origin]
    with holding(daemon), calling(daemon, a.udp()) as caller:
        hogs = connections(host, 200, to, family, **kw)
        for i, s in enumerate(hogs):
            with contextlib.suppress(OSError):
                s.sendall(rpc.words(0x80000000 | 8000) + bytes(40 * i % 8000))
        caller.judge()
        # new connections of the same origin are still served
        if origin == "network":
            with a.tcp("192.168.77.1") as c:
                c.null()
        if origin == "local":
            with a.local(1001) as c, a.local(0) as d:
                c.null()
                d.null()
        for s in hogs:
            s.close()


@pytest.mark.slow
@pytest.mark.parametrize("origin", ORIGINS)
def test_idle_connections(target, origin):
    a, b, daemon = target
    host, to, family, kw = origins(a, b)[origin]
    n = 500 if SANITIZED else 2000
    with holding(daemon), calling(daemon, a.udp()) as caller:
        with a.local() as root:
            root.null()
            hogs = connections(host, n, to, family, **kw)
            caller.judge()
            caller.stop()
            daemon.rests()
            root.null()  # its connection is still there
        for s in hogs:
            s.close()


@pytest.mark.slow
@pytest.mark.parametrize("origin", ORIGINS)
def test_clients_that_never_read(target, origin):
    a, b, daemon = target
    host, to, family, kw = origins(a, b)[origin]
    with a.local() as c:
        for i in range(1000):
            c.set(PROG + i, 1, UDP, 5000)
        c.dump()
    with holding(daemon), calling(daemon, a.udp()) as caller:
        hogs = connections(host, 20, to, family, **kw)
        call = rpc.record(rpc.call(rpc.DUMP)) * 100
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            for s in hogs:
                s.setblocking(False)
                with contextlib.suppress(OSError):
                    s.send(call)
        caller.judge()
        caller.stop()
        daemon.rests()
        for s in hogs:
            s.close()


@pytest.mark.parametrize("ends", [False, True])
def test_closed_connections_keep_little_of_the_kernel(target, ends):
    """Clients read nothing of their replies, and end, or are displaced."""
    a, b, daemon = target
    with a.local() as c:
        for i in range(200):
            c.set(PROG + i, 1, UDP, 5000)
    calls = rpc.record(rpc.call(rpc.DUMP)) * 20
    with holding(daemon), contextlib.ExitStack() as stack:
        for _ in range(500):
            s = stack.enter_context(b.tcp("192.168.77.1")).sock
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with contextlib.suppress(OSError):
                s.send(calls)
                if ends:
                    s.shutdown(socket.SHUT_WR)
        with b.tcp("192.168.77.1") as c:
            c.null()
        unsent = [line for line in a.run(
            ["ss", "-Htan", "exclude", "listening", "sport = :111"])
                  .splitlines() if int(line.split()[2]) > 1]  # 1: FIN
        assert len(unsent) <= 192
        assert daemon.counters()["connections"] <= 194


def test_replies_reach_a_client_that_has_ended_its_input(target):
    """Even slowly, while the daemon has stopped reading."""
    a, b, daemon = target
    with a.local() as c:
        for i in range(250):
            c.set(PROG + i, 1, UDP, 5000)
    with b.tcp("192.168.77.1") as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.sock.send(rpc.record(rpc.call(rpc.DUMP)) * 10)
        c.sock.shutdown(socket.SHUT_WR)
        until(lambda: daemon.counters()["network.dump"] == 10)
        for _ in range(10):
            assert len(rpc.parse(c.receive()).body) > 5000
        assert c.closed()
    until(lambda: daemon.counters()["connections"] == 0)


@pytest.mark.slow
@pytest.mark.parametrize("origin", ORIGINS)
def test_connect_and_reset_storm(target, origin):
    a, b, daemon = target
    host, to, family, kw = origins(a, b)[origin]
    with holding(daemon), calling(daemon, a.udp()):
        for i in range(1000):
            with contextlib.suppress(OSError):
                s = host.socket(family, socket.SOCK_STREAM, connect=to, **kw)
                if i % 2:
                    s.send(rpc.record(rpc.call(rpc.DUMP)) * 3)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
                s.close()


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


@pytest.mark.slow
@pytest.mark.parametrize("what", FLOODS)
def test_datagram_floods(target, what):
    a, b, daemon = target
    n = 5000 if SANITIZED else 25000
    with holding(daemon), calling(daemon, a.tcp()):
        with b.udp("192.168.77.1") as c:
            c.sock.settimeout(0)
            for _ in range(n):
                with contextlib.suppress(OSError):
                    c.sock.send(FLOODS[what])
    assert len(daemon.lines()) < 100, "a flood is not to fill the log"


def test_nothing_is_amplified(target):
    """No reply to the network is longer than its call."""
    a, b, _ = target
    with a.local() as c:
        for i in range(200):
            c.set(PROG + i, 1, UDP, 5000)
    calls = [rpc.call(proc, args, prog=prog, vers=vers, cred=cred)
                 for prog in (rpc.PMAP, 100003) for vers in (1, 2, 3, 4)
                 for proc in range(0, 14)
                 for args in (b"", rpc.mapping(PROG, 1, UDP, 0),
                              rpc.rpcb(PROG, 1, "udp", ""))
                 for cred in (rpc.NONE, rpc.authsys(), (6, bytes(20)),
                              (1, b""), (3, b""))]
    calls += [rpc.call(0, rpcvers=3), rpc.call(rpc.DUMP, bytes(4000)),
                  b"", b"x" * 40]
    with b.udp("192.168.77.1") as c:
        for q in calls:
            probe = rpc.call(rpc.NULL)
            c.send(q)
            c.send(probe)
            replies = []
            while not replies or replies[-1][:4] != probe[:4]:
                replies.append(c.receive())
            assert len(replies) <= 2
            assert sum(map(len, replies[:-1])) <= len(q)
        # a call that is long enough gets the whole list
        reply = c.call(rpc.DUMP, bytes(28 + 20 * 202 - 40))
        assert len(rpc.parse_dump(reply.body)) == 202
        reply = c.call(rpc.DUMP, bytes(28 + 20 * 202 - 44))
        assert reply.stat == rpc.SYSTEM_ERR
    # on loopback nobody can be hit
    with a.udp() as c:
        assert len(c.dump()) == 202


def test_greedy_uid_at_the_local_origin(target):
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
    daemon.expect_line(rf"evicted uid={NOBODY} pid=\d+ via=local")


def test_greedy_address_at_the_network_origin(target):
    a, b, daemon = target
    with a.tcp("192.168.77.1") as good:
        good.null()
        hogs = connections(b, 400, ("192.168.77.1", 111))
        good.null()
        # reset: the kernel need not wait for a client that is silent
        states = a.run(["ss", "-Hant", "sport", "=", "111"]).split()[::5]
        assert "FIN-WAIT-1" not in states and "FIN-WAIT-2" not in states
        for s in hogs:
            s.close()
    daemon.expect_line(r"evicted from=192.168.77.2:\d+ via=network")


@pytest.mark.plain
@pytest.mark.parametrize("outstanding, most", [(8, 1.0), (1, 3.1)])
def test_system_calls_a_request(host, start, tmp_path, outstanding, most):
    """UDP GETPORT under load, eight outstanding, and one at a time: the least
    of some counts, because under strace calls take so long that the caller is
    a suspect at times (debt.h)."""
    daemon = start(host, under=refusing("cputime"))
    call = rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0))
    rounds, counts = 250, []
    while not counts or min(counts) > most:
        assert len(counts) < 8, counts
        out = tmp_path / f"strace{len(counts)}"
        with traced(daemon, out, "-e", WITHOUT_DEBT), host.udp() as c:
            for _ in range(rounds):
                for _ in range(outstanding):
                    c.send(call)
                for _ in range(outstanding):
                    c.receive()
        counts.append(len(out.read_text().splitlines()) /
                      (rounds * outstanding))


@pytest.mark.slow
def test_few_descriptors(host, start):
    """With 64 all caps shrink in proportion, and it still replies."""
    daemon = start(host, before=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (64, 64)))
    daemon.expect("evicted ", "suppressed ")
    with calling(daemon, host.udp()) as caller, host.local() as root:
        root.null()
        hogs = connections(host, 100, ("127.0.0.1", 111))
        hogs += connections(host, 100, "\0/run/rpcbind.sock", socket.AF_UNIX,
                            uid=NOBODY)
        caller.judge()
        assert daemon.fds() < 64
        root.null()
        for s in hogs:
            s.close()
    code, out = host.run([PORTMAP, "-f", "-p", "999"], check=False,
                         before=lambda: resource.setrlimit(
                             resource.RLIMIT_NOFILE, (63, 63)))
    assert code == 1 and "descriptors" in out
    # and with far more than select() can use it takes what it can use

    def plenty():
        with contextlib.suppress(ValueError):  # else what there is: plenty
            resource.setrlimit(resource.RLIMIT_NOFILE, (1000000, 1000000))
    other = start(host, "-p", "998", before=plenty)
    limits = pathlib.Path(f"/proc/{other.pid}/limits").read_text()
    assert re.search(r"open files +1024 ", limits)


def test_nobody_can_hold_the_lock(host, start):
    """A user who can open the lock file can lock it, and then portmap cannot
    start."""
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
    """All of 127.0.0.0/8 is two sources: root's connection is the oldest, and
    stays."""
    a, b, daemon = target
    with b.tcp("192.168.77.1") as good, b.tcp("192.168.77.1") as good2, \
            a.root_tcp() as root:
        for c in (root, good, good2):
            c.null()
        hogs = []
        for i in range(300):
            with contextlib.suppress(OSError):
                hogs.append(a.socket(
                    socket.AF_INET, socket.SOCK_STREAM,
                    bind=(f"127.1.{i // 200}.{i % 200 + 1}", 0),
                    connect=("127.0.0.2", 111)))
        for c in (root, good, good2):
            c.null()
        for s in hogs:
            s.close()


@pytest.mark.slow
def test_one_byte_each_100_ms(target):
    """A call that never comes to an end keeps nobody waiting, and does not
    count as activity."""
    a, b, daemon = target
    with holding(daemon), calling(daemon, a.udp()) as caller:
        hogs = connections(b, 20, ("192.168.77.1", 111))
        data = rpc.words(1) + b"x"  # fragments of one byte, without end
        for i in range(10):
            for s in hogs:
                with contextlib.suppress(OSError):
                    s.send(data[i % 5:i % 5 + 1])
            time.sleep(0.1)
        caller.judge()
        for s in hogs:
            s.close()


@pytest.mark.slow
@pytest.mark.plain
def test_idle_connections_are_closed_after_30_s(target):
    a, b, daemon = target
    daemon.expect("refused ")
    with b.tcp("192.168.77.1") as network, a.tcp() as loopback, \
            a.local(NOBODY) as local, a.local() as blocked:
        for c in (network, loopback, local):
            c.null()
        for i in range(1000):
            blocked.set(PROG + i, 1, UDP, 5000)
        blocked.sock.setblocking(False)
        with contextlib.suppress(OSError):
            while True:  # asks, and does not read
                blocked.sock.send(rpc.record(rpc.call(rpc.DUMP)) * 100)
        began = time.monotonic()
        network.sock.settimeout(40)
        assert network.closed()
        assert 25 < time.monotonic() - began < 35
        loopback.sock.settimeout(5)
        assert loopback.closed()
        local.null()
        blocked.sock.settimeout(5)

        def dropped():
            try:
                blocked.sock.send(b"x")
                return False
            except OSError:
                return True
        until(dropped, 10, "dropped for not reading")


@pytest.mark.slow
@pytest.mark.plain
@pytest.mark.parametrize("kind", ["tcp", "local"])
def test_out_of_descriptors_at_accept(host, start, kind):
    """It does not spin, and goes on when there are some."""
    daemon = start(host, "-u", "root")  # ours, so its limit is ours to set
    daemon.expect("error what=accept errno=EMFILE", "suppressed ")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE,
                     (daemon.lowest_free(), 1024))
    with getattr(host, kind)() as c:
        daemon.expect_line("error what=accept")
        daemon.rests()
        with host.udp() as u:
            u.null()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        c.null()


@pytest.mark.slow
@pytest.mark.plain
@pytest.mark.parametrize("error", [
    "ENFILE", "ENOBUFS", "ENOMEM",
    # these concern one connection, unless they persist
    "ECONNABORTED", "EACCES"])
def test_accept_fails(host, start, tmp_path, error):
    """It does not spin, whatever the reason, and others are served."""
    daemon = start(host, "-S")  # strace makes the call fail by its number
    daemon.expect("suppressed ")
    out = tmp_path / "strace"
    with contextlib.ExitStack() as stack:
        with traced(daemon, out, "-e", "trace=all", "-e",
                    f"inject=accept4,accept:error={error}"):
            waiting = [stack.enter_context(origin())
                       for origin in (host.tcp, host.local) * 3]
            daemon.expect_line(f"error what=accept errno={error}")
            for _ in range(10):
                with host.udp() as u:
                    u.null()
                time.sleep(0.1)
        # in some 1.2 s: two breaks, and ten calls
        assert len(out.read_text().splitlines()) < 200
        for c in waiting:
            c.null()


def landlock_version():
    create_ruleset, version = 444, 1
    return ctypes.CDLL(None).syscall(create_ruleset, None, 0, version)


def intruder(daemon):
    """What code in the daemon could do: the errno of each attempt."""
    daemon.expect("intruder ", "counters ")
    daemon.send(signal.SIGRTMIN)
    until(lambda: any("what=udp " in line for line in daemon.lines()))
    return {what: int(error) for what, error in re.findall(
        r"intruder what=(\w+) errno=(\d+)", "\n".join(daemon.lines()))}


@pytest.mark.plain
@pytest.mark.uninstrumented
@pytest.mark.parametrize("landlock", [True, False])
def test_what_the_sandbox_denies(host, start, landlock):
    under = ["env", f"LD_PRELOAD={INTEROP}/intruder.so",
             *([] if landlock else ["NO_LANDLOCK=1"])]
    listener = host.socket(socket.AF_UNIX, socket.SOCK_STREAM,
                           bind="\0intruder")
    listener.listen()
    daemon = start(host, under=under)
    # glibc of these has one system call for all of these, socketcall(2)
    by_arguments = {"ipv6", "tcp", "raw", "icmp", "udplite", "packet", "uevent",
                    "generic", "sendto", "sendmsg", "sendmmsg", "listener"}
    in_memory = by_arguments if sysconfig.get_config_var("MULTIARCH") in (
        "i386-linux-gnu", "s390x-linux-gnu") else set()
    if in_memory:  # it has made the listener deaf
        daemon.expect("error what=accept")
    found = intruder(daemon)
    by_seccomp = by_arguments - in_memory | {
        "execve", "ptrace", "kill", "code", "mprotect", "clone", "unshare",
        "write", "read"}
    expected = dict.fromkeys(by_seccomp, errno.ENOSYS) | {"udp": 0}
    version = landlock_version() if landlock else 0
    if version >= 4:
        expected |= {"connect": errno.EACCES}
    if version >= 6:
        expected |= {"abstract": errno.EPERM}
    assert {what: found[what] for what in expected} == expected
    with host.udp() as c:
        c.null()


@pytest.mark.plain
def test_without_the_sandbox(host, start):
    daemon = start(host, "-S")
    assert daemon.expect_line("ready .*sandbox=(.*)").group(1) == "none"
    assert daemon.status()["Seccomp"] == "0"


@pytest.mark.slow
@pytest.mark.plain
@pytest.mark.parametrize("jump", ["-400d", "+400d"])
def test_the_wall_clock_jumps(linked, start, jump):
    """Nothing is measured by it: neither idle connections nor CALLITs."""
    a, b = linked
    clock = a.path("/run/clock")
    clock.write_text("+0")
    library = next(
        pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    need(library, "needs libfaketime")
    # the library opens the clock at each call, which the sandbox denies
    daemon = start(a, "-v", "-S", under=[
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
        daemon.expect_line("callit result=expired ")
        idle.null()


@pytest.mark.slow
def test_signals_all_the_time(target):
    """Signals interrupt the daemon in all that it does."""
    a, b, daemon = target
    daemon.expect("verbose ", "call ", "callit ", "counters ", "badcall ",
                  "stale ", "replaced ")
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
                replies = [c.receive()]
                while replies[-1][:4] != probe[:4]:
                    replies.append(c.receive())
                assert sum(map(len, replies[:-1])) <= len(q)
                assert len(replies) <= 2
