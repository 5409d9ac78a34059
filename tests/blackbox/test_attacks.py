# SPDX-License-Identifier: BSD-2-Clause
"""Attacks on the promise of portmap.8: other callers lose at most 1 % of their
calls, and wait at most 100 ms."""
import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

import rpc
from caller import calling
from lab import INTEROP, NOBODY, WITHOUT_PASSRIGHTS, connect_ipv6, need, \
    reach_loopback, until, within
from rpc import TCP, UDP

PROG = 300550
GETPORT = rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0))


@contextlib.contextmanager
def running(host, script, *args, uid=0, stdin=subprocess.DEVNULL):
    """A program, or a script of Python, on a host, ready when it has printed a
    line."""
    program = [script] if script.startswith("/") else \
        ["/usr/bin/python3", "-c", script]
    with host.popen([*program, *args], uid=uid, stdin=stdin,
                    stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
            assert process.poll() is None, "the attack ended too early"
        finally:
            process.kill()


# N connections that send calls as fast as they are taken, and read all replies.
PIPELINE = """
import select, socket, sys
path, n, call = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
socks = []
for _ in range(n):
    if path[0] == "/":
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
    else:
        s = socket.create_connection((path, 111))
    s.setblocking(False)
    socks.append(s)
print("ready", flush=True)
poll = select.epoll()
of = {s.fileno(): s for s in socks}
for fd in of:
    poll.register(fd, select.EPOLLIN | select.EPOLLOUT)
batch = call * 200
while True:
    for fd, event in poll.poll():
        try:
            if event & select.EPOLLIN and not of[fd].recv(1 << 16):
                poll.unregister(fd)
                continue
            if event & select.EPOLLOUT:
                of[fd].send(batch)
        except BlockingIOError:
            pass
        except OSError:
            poll.unregister(fd)
"""

# Datagrams at a steady rate.
FLOOD = """
import socket, sys, time
to, rate, call = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((to, 111))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
print("ready", flush=True)
began, sent = time.monotonic(), 0
while True:
    due = int((time.monotonic() - began) * rate)
    while sent < due:
        try:
            s.send(call)
        except OSError:
            pass
        sent += 1
    time.sleep(0.0005)
"""


# The same, with forged sources in turn.
FORGED = """
import socket, sys, time
rate, packets = int(sys.argv[1]), [bytes.fromhex(p) for p in sys.argv[2:]]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
print("ready", flush=True)
began, sent = time.monotonic(), 0
while True:
    due = int((time.monotonic() - began) * rate)
    while sent < due:
        s.sendto(packets[sent % len(packets)], ("192.168.77.1", 0))
        sent += 1
    time.sleep(0.001)
"""


@pytest.mark.slow
def test_replies_that_wait_for_arp(target):
    """Sources that do not exist: the kernel holds their replies for ARP."""
    a, b, daemon = target
    forged = [rpc.packet(f"192.168.77.{n}", "192.168.77.1", GETPORT).hex()
              for n in range(100, 108)]
    with calling(daemon, a.udp(), loss=0), \
            calling(daemon, b.udp("192.168.77.1")), \
            running(b, FORGED, "1000", *forged):
        time.sleep(5)


@pytest.mark.slow
def test_a_flood_over_udp_and_pipelines_over_tcp(target):
    a, b, daemon = target
    record = rpc.record(GETPORT)
    with calling(daemon, a.udp(), loss=0), \
            calling(daemon, b.udp("192.168.77.1")), \
            running(b, PIPELINE, "192.168.77.1", "190", record.hex()), \
            running(b, FLOOD, "192.168.77.1", "10000", GETPORT.hex()):
        time.sleep(4)


@pytest.mark.slow
def test_pipelines_of_one_user_on_the_local_socket(target):
    """Root's SET and a GETPORT over TCP, while a user has all connections."""
    a, b, daemon = target
    dump = rpc.record(rpc.call(rpc.DUMP))

    def change(c):
        assert c.set(PROG, 1, UDP, 5000) == 1
    with calling(daemon, a.local(), change), \
            calling(daemon, b.tcp("192.168.77.1")), \
            running(a, PIPELINE, "/run/rpcbind.sock", "190", dump.hex(),
                    uid=NOBODY):
        time.sleep(3)


# Bursts of connections, closed with the next burst.
BURSTS = """
import socket, sys, time
print("ready", flush=True)
while True:
    socks = [socket.socket() for _ in range(1000)]
    for s in socks:
        s.setblocking(False)
        s.connect_ex(("192.168.77.1", 111))
    time.sleep(0.03)
    for s in socks:
        s.close()
"""


@pytest.mark.parametrize("how", ["tcp", "udp", "route_localnet", "udp6"])
def test_the_network_does_not_fill_the_queues_of_loopback(target, how):
    """The daemon stands still while another host fills what it can reach."""
    a, b, daemon = target
    flooded = {"tcp": "192.168.77.1", "udp": "192.168.77.1",
               "route_localnet": "127.0.0.1", "udp6": "fd00::1"}[how]
    family, local = socket.AF_INET, "127.0.0.1"
    if how == "route_localnet":
        reach_loopback(a, b)
    if how == "udp6":
        need(socket.has_ipv6, "needs IPv6")
        family, local = socket.AF_INET6, "::1"
        connect_ipv6(a, b)
    kind = socket.SOCK_STREAM if how == "tcp" else socket.SOCK_DGRAM
    with contextlib.ExitStack() as stack:
        os.kill(daemon.pid, signal.SIGSTOP)
        stack.callback(os.kill, daemon.pid, signal.SIGCONT)
        if how == "tcp":
            for _ in range(4200):
                s = stack.enter_context(b.socket(family, kind))
                s.setblocking(False)
                s.connect_ex((flooded, 111))
        else:
            s = stack.enter_context(b.socket(family, kind))
            s.connect((flooded, 111))
            for _ in range(30000):
                s.send(GETPORT)
        c = stack.enter_context(a.socket(family, kind))
        c.settimeout(5)
        c.connect((local, 111))
        c.send((rpc.record if how == "tcp" else bytes)(GETPORT))
        os.kill(daemon.pid, signal.SIGCONT)
        assert len(c.recv(100)) >= 24


@pytest.mark.slow
def test_bursts_of_connections(target):
    """A full backlog would make the connections of others wait for a second:
    the kernel drops their SYN."""
    a, b, daemon = target

    def connect(_):
        with a.tcp("192.168.77.1") as c:
            c.null()
    b.sysctl("net.ipv4.ip_local_port_range", '"1024 65000"')
    with calling(daemon, a.udp(), connect), calling(daemon, a.udp(), loss=0), \
            running(b, BURSTS):
        time.sleep(4)


@pytest.mark.slow
def test_costly_changes_of_one_user(target):
    """SETs that take a search each: the owner of the program is at an unusual
    address."""
    a, b, daemon = target

    def change(c):
        assert c.set(PROG, 1, UDP, 5000) == 1
    holder = a.bound(socket.SOCK_DGRAM, addr="127.0.0.53", uid=1001)
    with a.local(1001) as owner:
        assert owner.set(PROG + 1, 1, UDP, holder.getsockname()[1]) == 1
    call = rpc.record(rpc.call(rpc.SET, rpc.mapping(PROG + 1, 50, UDP, 5001)))
    with calling(daemon, a.udp(), loss=0), \
            calling(daemon, a.local(), change), \
            calling(daemon, b.tcp("192.168.77.1")), \
            running(a, PIPELINE, "/run/rpcbind.sock", "190", call.hex(),
                    uid=NOBODY):
        time.sleep(3)
    daemon.expect_line("refused .*reason=program")
    daemon.expect_line("refused .*reason=busy")
    daemon.stop()  # there may be SETs that it has not served
    holder.close()


@pytest.mark.plain
def test_what_is_not_read_takes_little_of_the_kernel(target):
    a, b, _ = target
    with b.tcp("192.168.77.1") as c, a.local() as local:
        for i in range(200):
            local.set(PROG + i, 1, UDP, 5000)
        c.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                c.sock.send(rpc.record(rpc.call(rpc.DUMP)) * 100)
        time.sleep(0.5)
        out = a.run(["ss", "-Htmn", "sport", "=", "111"])
        limits = [int(n) for n in re.findall(r"[rt]b(\d+)", out)]
        assert limits and max(limits) <= 256 * 1024, out


def far_away(a, b, address="203.0.113.5"):
    """b has an address that is not on the link, and a has a route to it."""
    b.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"])
    a.run(["ip", "route", "add", "203.0.113.0/24", "via", "192.168.77.2"])


@pytest.mark.parametrize("to", ["192.168.77.255", "255.255.255.255",
                                "224.0.0.1"])
def test_broadcasts_of_a_forged_source_get_no_reply(target, to):
    a, b, _ = target
    far_away(a, b)
    # on the link it is served, which instruments need
    for source, served in (("192.168.77.2", True), ("203.0.113.5", False)):
        with b.socket(socket.AF_INET, socket.SOCK_DGRAM,
                      bind=(source, 0)) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"veth0")
            s.sendto(GETPORT, (to, 111))
            # a reply to a later call, which is unicast, has arrived by then
            s.sendto(rpc.call(rpc.NULL, xid=99), ("192.168.77.1", 111))
            replies = []
            while not replies or replies[-1][:4] != rpc.words(99):
                replies.append(s.recv(1000))
            # no multicast group is ours
            served &= to != "224.0.0.1"
            assert len(replies) == (2 if served else 1), (source, to)


@pytest.mark.slow
@pytest.mark.plain
def test_a_forged_syn_draws_two_replies_at_most(target):
    a, b, _ = target
    a.run(["ip", "route", "add", "203.0.113.0/24", "via", "192.168.77.2"])
    source, to = (socket.inet_aton(x) for x in ("203.0.113.9", "192.168.77.1"))
    tcp = struct.pack(">HHIIBBHHH", 4000, 111, 1, 0, 0x50, 2, 1000, 0, 0)
    pseudo = source + to + struct.pack(">BBH", 0, 6, len(tcp)) + tcp
    tcp = tcp[:16] + struct.pack(">H", rpc.checksum(pseudo)) + tcp[18:]
    syn = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, source,
                      to) + tcp
    with b.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                  proto=socket.htons(0x0800)) as sniffer, \
            b.socket(socket.AF_INET, socket.SOCK_RAW,
                     proto=socket.IPPROTO_RAW) as raw:
        raw.sendto(syn, ("192.168.77.1", 0))
        deadline, replies = time.monotonic() + 5, 0
        while time.monotonic() < deadline:
            sniffer.settimeout(max(0.01, deadline - time.monotonic()))
            with contextlib.suppress(socket.timeout):
                data = sniffer.recv(2000)
                replies += data[9] == 6 and data[16:20] == source \
                    and data[33] == 0x12
    assert 1 <= replies <= 2


def test_l_with_route_localnet(linked, start):
    """Nothing that was not received on lo gets a reply."""
    a, b = linked
    reach_loopback(a, b)
    start(a, "-l")
    with a.udp() as c, a.tcp() as d:
        c.null()
        d.null()
    for call in GETPORT, rpc.call(rpc.NULL), rpc.call(rpc.DUMP, bytes(400)):
        with b.udp("127.0.0.1") as c:
            c.send(call)
            with a.udp() as own:
                own.null()
            # ICMP from the kernel: no socket of ours receives it
            with pytest.raises(ConnectionRefusedError):
                c.receive()
    with pytest.raises(ConnectionRefusedError):
        b.tcp("127.0.0.1")


# Connections to the local socket that pass descriptors, `rounds` of them.  The
# last copies are those on their way, so that their close waits.
PASS = """
import array, os, socket, struct, sys, time
kind, rounds, argument = sys.argv[1], int(sys.argv[2]), sys.argv[3]
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", 0))
listener.listen(500)
kept = []

def lingering():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    s.connect(listener.getsockname())
    kept.append(listener.accept()[0])
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(4096))
    except BlockingIOError:
        return s.detach()

def memory():
    fd = os.memfd_create("memory")
    block = bytes(1 << 20)
    for _ in range(int(argument)):
        os.write(fd, block)
    return fd

def pipe_end():
    r, w = os.pipe()
    os.close(w)
    return r

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/rpcbind.sock")
    return s

def send(s, fds, data=b"x", flags=0):
    # the daemon may have closed it, and the kernel may refuse descriptors
    try:
        s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                            array.array("i", fds))], flags)
    except OSError:
        pass
    for fd in fds:
        os.close(fd)

def attack(data):
    s = connect()
    if kind == "memory":
        send(s, [memory()])
    elif kind == "linger":
        send(s, [lingering() for _ in range(10)], data)
    elif kind == "oob":
        send(s, [], b"a")
        send(s, [lingering()], b"b", socket.MSG_OOB)
        send(s, [], b"c")
    elif kind == "many":
        for _ in range(20):
            send(s, [pipe_end() for _ in range(50)])
    elif kind == "evicted":
        # the daemon does not read while it cannot send these replies
        send(s, [], bytes.fromhex(argument) * 100)
        time.sleep(0.02)
        send(s, [lingering()])
    return s

print("ready", flush=True)
socks = []
for i in range(rounds):
    # with a part of a record's header, or more than that
    socks.append(attack(b"xxxxx" if i % 2 else b"x"))
    if len(socks) > 120:
        socks.pop(0).close()
        kept[:-700] = []
    time.sleep(int(argument) / 1400 if kind == "memory" else 0.002)
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.plain
@pytest.mark.parametrize("kind", ["linger", "memory", "oob", "many", "evicted"])
@pytest.mark.parametrize("refused", [True, False])
def test_descriptors_that_take_long_to_close(host, start, kind, refused):
    """Without SO_PASSRIGHTS, which Linux has since 6.16, they cannot be
    refused."""
    daemon = start(host, under=() if refused else WITHOUT_PASSRIGHTS)
    daemon.expect("evicted ", "suppressed ", "error what=closer errno=EBUSY")
    argument = "700"  # MB
    if kind == "evicted":
        with host.local() as c:
            for i in range(200):
                c.set(PROG + i, 1, UDP, 5000)
        argument = rpc.record(rpc.call(rpc.DUMP)).hex()

    def change(c):
        assert c.set(PROG, 1, UDP, 5000) == 1
    with calling(daemon, host.udp(), loss=0), \
            calling(daemon, host.local(), change), \
            calling(daemon, host.tcp()), \
            calling(daemon, host.local(uid=1), lambda c: c.null()), \
            running(host, PASS, kind, "1000000", argument, uid=NOBODY):
        time.sleep(4)
    with host.local(uid=1) as c:
        c.null()


@pytest.mark.slow
@pytest.mark.plain
@pytest.mark.parametrize("attack, seconds", [
    (("linger", "120", ""), 1),
    # 3 GB, which the kernel takes 0.7 seconds to free
    (("memory", "120", "25"), 5)])
def test_the_end_does_not_wait_for_descriptors(host, start, attack, seconds):
    """Nor does the next start, with a full backlog of them."""
    daemon = start(host, under=WITHOUT_PASSRIGHTS)
    daemon.expect("listening ", "cannot listen on @")
    daemon.send(signal.SIGSTOP)
    with running(host, PASS, *attack, uid=NOBODY,
                 stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"done\n"
        daemon.send(signal.SIGTERM)
        daemon.send(signal.SIGCONT)
        with within(seconds):
            daemon.stop()
            start(host).expect("cannot listen on @", "listening ")


# SETs of the entries that a server is about to make, as fast as they are taken,
# and a squatter who replies to its NULL.
SQUAT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", int(sys.argv[1])))
c = socket.socket(socket.AF_UNIX)
c.connect("/run/rpcbind.sock")
calls = bytes.fromhex(sys.argv[2])
print("ready", flush=True)
while True:
    c.sendall(calls)
    c.recv(65536)
"""


@pytest.mark.slow
def test_rpc_statd_registers_in_spite_of_a_squatter(host, start):
    """It gets its entries and keeps them while a user spins on the same SETs."""
    daemon = start(host)
    daemon.expect("refused proc=(un)?set .* reason=", "suppressed ")
    host.prepare_statd()
    calls = b"".join(rpc.record(call) for call in (
        rpc.call(rpc.SET, rpc.mapping(100024, 1, UDP, 40662)),
        rpc.call(rpc.SET, rpc.mapping(100024, 1, TCP, 40662)),
        rpc.call(rpc.UNSET, rpc.mapping(100024, 1, 0, 0))))

    def entries(c):
        return sorted(e for e in c.dump() if e[0] == 100024)
    with running(host, SQUAT, "30000", calls.hex(), uid=NOBODY), \
            host.local() as c:
        for _ in range(5):
            with host.popen(["rpc.statd", "-F", "-P", "/run/statd", "-p",
                             "40662"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL) as statd:
                until(lambda: entries(c) == [(100024, 1, TCP, 40662),
                                             (100024, 1, UDP, 40662)])
                time.sleep(0.1)
                assert statd.poll() is None and len(entries(c)) == 2
                statd.terminate()
                statd.wait(10)
            until(lambda: not entries(c))
    daemon.expect_line("refused proc=set .* prog=100024 .* reason=protected")


# What makes the kernel work long for one caller, and how much of it.
SLOW = {
    "udp": ("15000",),
    "epoll": ("5000", "20"),
    "tcp": ("5000", "20"),
    "owner": ("6000", "40"),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", SLOW)
def test_a_caller_pays_for_what_the_kernel_does(target, how):
    a, b, daemon = target
    with running(a, f"{INTEROP}/slow", how, *SLOW[how], uid=NOBODY), \
            calling(daemon, a.udp()), calling(daemon, a.local()), \
            calling(daemon, b.udp("192.168.77.1")), \
            calling(daemon, b.tcp("192.168.77.1")):
        time.sleep(5)
    daemon.expect_line("debt ")
    if how != "udp":  # over UDP, calls that are not served count, too
        counters = daemon.counters()
        assert counters["local.null"] + counters["loopback.null"] < 300


@pytest.mark.slow
@pytest.mark.parametrize("how", ["udp6", "filter", "relay"])
def test_costly_calls_of_callits_and_new_ports(target, how):
    """No port is in debt: others have turns in between, or a uid pays."""
    a, b, daemon = target
    need(socket.has_ipv6 or how != "udp6", "needs IPv6")
    with a.bound(socket.SOCK_DGRAM, uid=NOBODY) as s, a.local(NOBODY) as c:
        port = s.getsockname()[1]
        assert c.set(0x20000700, 1, UDP, port) == 1
    much = {"udp6": ("15000", "40"), "filter": (str(port),),
            "relay": ("15000", str(port))}[how]
    counter, begun = {"udp6": ("ipv6.null", 100)}.get(
        how, ("loopback.callit", 5))
    with running(a, f"{INTEROP}/slow", how, *much, uid=NOBODY):
        # the first ones still take long: CAVEATS
        until(lambda: daemon.counters()[counter] > begun)
        with calling(daemon, a.udp()), calling(daemon, a.local()), \
                calling(daemon, b.udp("192.168.77.1")), \
                calling(daemon, b.tcp("192.168.77.1")):
            time.sleep(5)
    if how != "udp6":
        daemon.expect_line(f"debt uid={NOBODY} via=loopback")


@pytest.mark.slow
def test_a_slow_service_pays_for_the_calls_of_other_hosts(target):
    """Its filter goes through 8000 bytes of arguments, again and again."""
    a, b, daemon = target
    args = struct.pack("=I", 4 | 5 << 16) * 2000
    call = rpc.call(rpc.CALLIT, rpc.words(0x20000700, 1, 0, 8000) + args)
    with a.bound(socket.SOCK_DGRAM, uid=NOBODY) as s, a.local(NOBODY) as c:
        port = s.getsockname()[1]
        assert c.set(0x20000700, 1, UDP, port) == 1
    with running(a, f"{INTEROP}/slow", "service", str(port), uid=NOBODY), \
            running(b, FLOOD, "192.168.77.1", "100", call.hex()):
        daemon.expect_line(f"debt .*from=192.168.77.1:{port} via=network")
        with calling(daemon, a.udp()), calling(daemon, a.local()), \
                calling(daemon, b.udp("192.168.77.1")), \
                calling(daemon, b.tcp("192.168.77.1")):
            time.sleep(3)
