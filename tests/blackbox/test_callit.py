# SPDX-License-Identifier: BSD-2-Clause
"""CALLIT: who is served, what is forwarded, what is relayed."""
import contextlib
import random
import re
import select
import socket
import struct
import threading

import pytest

import rpc
from caller import calling
from lab import (SANITIZED, UNDER_VALGRIND, connect_hosts, need_program,
                 reach_loopback, running, until)
from rpc import TCP, UDP

PROG = 0x20000600
LINK = ["-c", "link"]
IP_PKTINFO = 8


def callit(prog, vers=1, proc=0, args=b"", **kw):
    return rpc.call(rpc.CALLIT, rpc.words(prog, vers, proc) + rpc.opaque(args),
                    **kw)


def success(request, results=b""):
    return rpc.words(rpc.unwords(request[:4])[0], 1, 0, 0, 0, 0) + results


class Service:
    """A UDP service on a host; `reply(request, source, sock)` returns the
    datagrams to send back."""

    def __init__(self, host, prog=PROG, vers=1, addr="0.0.0.0", port=0,
                 reply=None):
        self.sock = host.bound(socket.SOCK_DGRAM, port, addr)
        self.sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.port = self.sock.getsockname()[1]
        self.reply = reply or (lambda request, *_: [success(request)])
        self.seen = []
        with host.local() as c:
            assert c.set(prog, vers, UDP, self.port) == 1
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over.is_set():
            if not select.select([self.sock], [], [], 0.02)[0]:
                continue
            request, ancillary, _, source = self.sock.recvmsg(20000, 64)
            self.seen.append((request, source))
            # reply from the address that was asked, as libtirpc does
            level, kind, info = ancillary[0]
            info = bytes(4) + info[8:12] + info[8:12]
            for reply in self.reply(request, source, self.sock):
                self.sock.sendmsg([reply], [(level, kind, info)], 0, source)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self.sock.close()


def ask(client, request):
    """Send a CALLIT.  Return the port and the results of its reply."""
    client.send(request)
    reply = client.reply()
    assert (reply.xid, reply.kind, reply.stat) == \
        (rpc.unwords(request[:4])[0], "accepted", rpc.SUCCESS)
    port, length = rpc.unwords(reply.body[:8])
    assert len(reply.body) == 8 + length
    return port, reply.body[8:]


def no_reply(client, request):
    """Nothing comes back, neither before the reply to a later call nor within
    a tenth of a second after it."""
    probe = rpc.call(rpc.NULL)
    client.send(request)
    client.send(probe)
    replies = []
    while probe[:4] not in replies:
        replies.append(client.receive()[:4])
    client.sock.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        replies.append(client.receive()[:4])
    client.sock.settimeout(5)
    return replies == [probe[:4]]


def ask_again(client, make):
    """As clients do: a datagram may be lost when the socket is flooded."""
    client.sock.settimeout(1)
    for _ in range(5):
        with contextlib.suppress(TimeoutError):
            return ask(client, make())
    return None


@pytest.fixture
def pair(linked, start):
    a, b = linked
    return a, b, start(a, *LINK)


@pytest.mark.parametrize("where", ["loopback", "own address", "on-link host"])
def test_served(pair, where):
    a, b, daemon = pair
    with Service(a, reply=lambda r, *_: [success(r, b"abcd" + r[-8:])]) as s:
        client = {"loopback": lambda: a.udp(),
                  "own address": lambda: a.udp("192.168.77.1"),
                  "on-link host": lambda: b.udp("192.168.77.1", sport=800)}[where]
        with client() as c:
            for args in (b"", b"12345678"):
                port, results = ask(c, callit(PROG, 1, 7, args,
                                              cred=rpc.authsys(0)))
                assert port == s.port
                request, source = s.seen[-1]
                # what the service sees: AUTH_NONE, from a port that proves
                # nothing, at our address, with our own xid
                assert request[4:] == rpc.words(0, 2, PROG, 1, 7, 0, 0, 0, 0) \
                    + args
                assert source[1] >= 1024
                assert (source[0] == "127.0.0.1") == (where == "loopback")
                assert results == b"abcd" + request[-8:]
    assert daemon.counters()["callit.relayed"] == 2


def test_never_from_a_privileged_port(pair):
    """Then the service might take the caller for root of this host."""
    a, b, daemon = pair
    with Service(a) as s, b.udp("192.168.77.1") as c:
        a.sysctl("net.ipv4.ip_unprivileged_port_start", 0)
        a.sysctl("net.ipv4.ip_local_port_range", "700 800")
        assert c.silent(callit(PROG))
        assert daemon.counters()["callit.failed"] == 1
        a.sysctl("net.ipv4.ip_local_port_range", "1700 1800")
        assert ask(c, callit(PROG))
        assert len(s.seen) == 1


def test_by_broadcast(pair):
    a, b, _ = pair
    with Service(a) as s, b.socket(
            socket.AF_INET, socket.SOCK_DGRAM, ("192.168.77.2", 0)) as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for to in ("192.168.77.255", "255.255.255.255"):
            request = callit(PROG)
            c.sendto(request, (to, 111))
            data, source = c.recvfrom(1000)
            assert source == ("192.168.77.1", 111)
            assert data == rpc.words(rpc.unwords(request[:4])[0], 1, 0, 0, 0,
                                     0, s.port, 0)
            assert s.seen[-1][1][0] == "192.168.77.1"


def test_the_answer_leaves_from_the_address_that_was_asked(pair):
    a, b, _ = pair
    a.run(["ip", "addr", "add", "192.168.77.9/24", "dev", "veth0"])
    with Service(a), b.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
        for addr in ("192.168.77.9", "192.168.77.1"):
            c.sendto(callit(PROG), (addr, 111))
            assert c.recvfrom(1000)[1] == (addr, 111)


def test_with_i(linked, start):
    a, b = linked
    start(a, "-i", "192.168.77.1", *LINK)
    with Service(a), b.udp("192.168.77.1") as c:
        assert ask(c, callit(PROG))
        with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.sendto(callit(PROG), ("192.168.77.255", 111))
            assert s.recvfrom(1000)[1] == ("192.168.77.1", 111)


@pytest.mark.parametrize("who,served", [
    ("none", []), (None, ["loopback", "127.0.0.0/8", "own"]),
    ("host", ["loopback", "127.0.0.0/8", "own"]),
    ("link", ["loopback", "127.0.0.0/8", "own", "on-link host"])])
def test_c(linked, start, who, served):
    a, b = linked
    daemon = start(a, *(["-c", who] if who else []))
    clients = {"loopback": a.udp(), "own": a.udp("192.168.77.1"),
               "127.0.0.0/8": a.udp("127.0.0.2", source="127.0.0.3"),
               "on-link host": b.udp("192.168.77.1")}
    with Service(a) as s:
        for name, client in clients.items():
            with client as c:
                if name in served:
                    ask(c, callit(PROG))
                else:
                    assert no_reply(c, callit(PROG)), name
        assert len(s.seen) == len(served)
    assert daemon.counters()["callit.refused"] == len(clients) - len(served)


def test_streams(pair):
    a, b, _ = pair
    with Service(a) as s:
        for origin in (a.tcp, a.local):
            with origin() as c:
                assert c.raw(callit(PROG)).stat == rpc.PROC_UNAVAIL
        with b.tcp("192.168.77.1") as c:
            assert c.raw(callit(PROG)).stat == rpc.PROC_UNAVAIL
        assert not s.seen


def test_who_is_not_on_link_gets_silence(make_host, start):
    a, b = make_host(), make_host()
    connect_hosts(a, b)
    daemon = start(a, *LINK)
    b.run(["ip", "addr", "add", "192.0.2.7/32", "dev", "veth0"])
    a.run(["ip", "route", "add", "192.0.2.0/24", "via", "192.168.77.2"])
    with Service(a) as s, b.udp("192.168.77.1", source="192.0.2.7") as c:
        assert c.getport(PROG, 1, UDP) == s.port  # the way there and back
        assert no_reply(c, callit(PROG))
        assert not s.seen
        # its network is attached: it is served, without a restart
        a.run(["ip", "addr", "add", "192.0.2.1/24", "dev", "veth0"])
        until(lambda: not no_reply(c, callit(PROG)))
        a.run(["ip", "addr", "del", "192.0.2.1/24", "dev", "veth0"])
        until(lambda: no_reply(c, callit(PROG)))
    assert daemon.counters()["callit.refused"] >= 2


def test_on_link_means_at_the_interface_it_came_in_by(make_host, start):
    a, b, c = make_host(), make_host(), make_host()
    connect_hosts(a, b, "192.168.77", ("veth0", "veth0"))
    connect_hosts(a, c, "192.168.78", ("veth1", "veth0"))
    start(a, *LINK)
    # c claims an address of b's network; a would reply to b
    c.run(["ip", "addr", "add", "192.168.77.2/32", "dev", "veth0"])
    for name in ("all", "veth0", "veth1"):
        a.sysctl(f"net.ipv4.conf.{name}.rp_filter", 0)
    with Service(a) as s, c.socket(socket.AF_INET, socket.SOCK_DGRAM,
                                   ("192.168.77.2", 0)) as forger:
        for _ in range(3):
            forger.sendto(callit(PROG), ("192.168.78.1", 111))
        with c.udp("192.168.78.1", source="192.168.78.2") as good:
            ask(good, callit(PROG))
        assert len(s.seen) == 1


def test_to_loopback_from_outside(pair):
    """With route_localnet an on-link host can write to 127.0.0.1: the service
    would see a caller from there."""
    a, b, _ = pair
    reach_loopback(a, b)
    with Service(a) as s, b.udp("127.0.0.1") as c:
        assert c.getport(PROG, 1, UDP) == s.port
        assert no_reply(c, callit(PROG))
        assert not s.seen


NEVER = [(rpc.PMAP, 2, 0), (rpc.PMAP, 2, 1), (rpc.PMAP, 3, 1),
         (rpc.PMAP, 2, 4), (rpc.PMAP, 2, 5)]
TRUSTING = {100003: 6, 100004: 3, 100005: 1, 100007: 2, 100009: 1, 100011: 1,
            100021: 1, 100024: 2, 100069: 1, 100227: 1}


@pytest.mark.parametrize("prog", TRUSTING)
def test_trusting_services_get_null_only(pair, prog):
    a, b, _ = pair
    with Service(a, prog, 2) as s:
        for client in (a.udp(), a.udp("192.168.77.1"), b.udp("192.168.77.1")):
            with client as c:
                ask(c, callit(prog, 2, 0))
                for proc in {1, 2, 3, 4, 5, TRUSTING[prog], 1000} - (
                        {1, 2} if prog == 100004 else set()):
                    c.send(callit(prog, 2, proc, b"args"))
                assert c.getport(prog, 2, UDP) == s.port
                if prog == 100004:
                    for proc in (1, 2):  # DOMAIN, DOMAIN_NONACK
                        ask(c, callit(prog, 2, proc))
        assert {rpc.unwords(r)[5] for r, _ in s.seen} == (
            {0, 1, 2} if prog == 100004 else {0})


@pytest.mark.parametrize("prog,vers,proc", NEVER)
def test_the_mapper_is_never_called_for_others(pair, prog, vers, proc):
    a, b, daemon = pair
    args = rpc.mapping(PROG, 1, UDP, 5000)
    for client in (a.udp(), a.udp("192.168.77.1"), b.udp("192.168.77.1")):
        with client as c:
            assert c.silent(callit(prog, vers, proc, args))
            # nested
            inner = rpc.words(prog, vers, proc) + rpc.opaque(args)
            assert c.silent(callit(rpc.PMAP, 2, 5, inner))
    with a.local() as c:
        assert c.dump() == rpc.OWN
    assert daemon.counters()["callit.forwarded"] == 0


def test_a_service_registered_at_our_port(linked, start):
    a, b = linked
    for args, port in (([], 111), (["-p", "10111"], 10111)):
        daemon = start(a, *args, *LINK)
        origin = a.local if port == 111 else lambda: a.root_udp(port=port)
        with origin() as c:
            assert c.set(PROG, 1, UDP, port) == 1
            assert c.set(PROG + 1, 1, UDP, 111) == 1
        with b.udp("192.168.77.1", port) as c:
            assert c.silent(callit(PROG, 1, 0))
            assert c.silent(callit(PROG + 1, 1, 0))
        assert daemon.counters()["callit.forwarded"] == 0


def test_what_is_not_registered(pair):
    a, _, daemon = pair
    with Service(a) as s, a.udp() as c:
        assert c.silent(callit(PROG + 1))
        assert c.silent(callit(PROG, 2))  # no other version will do
        with a.local() as root:
            root.set(PROG + 2, 1, TCP, s.port)
        assert c.silent(callit(PROG + 2))
        assert not s.seen
    assert daemon.counters()["callit.unknown"] == 3


def test_arguments_that_are_not_all_there(pair):
    a, b, _ = pair
    with Service(a) as s, b.udp("192.168.77.1") as c:
        head = rpc.words(PROG, 1, 0)
        for args in (b"", head[:8], head, head + rpc.words(4),
                     head + rpc.words(8) + b"1234", head + rpc.words(5000),
                     head + rpc.words(0xffffffff) + b"1234",
                     head + rpc.words(0x7ffffffc) + b"1234",
                     head + rpc.words(3) + b"12"):
            assert c.silent(rpc.call(rpc.CALLIT, args))
        assert not s.seen
        # the longest that fits
        size = 9000 - 56
        a.udp().sock.close()
        ask(c, callit(PROG, 1, 0, b"x" * size))
        assert s.seen[-1][0][40:] == b"x" * size


@pytest.mark.parametrize("where", ["loopback", "own address", "on-link host"])
def test_the_length_of_answers(pair, where):
    a, b, daemon = pair
    here = where != "on-link host"
    with Service(a, reply=lambda r, *_: [
            success(r, bytes(rpc.unwords(r[40:44])[0]))]) as s:
        client = a.udp() if where == "loopback" else \
            (a if here else b).udp("192.168.77.1")
        with client as c:
            def request(n):
                return callit(PROG, 1, 1, rpc.words(n))
            assert ask(c, request(368))[1] == bytes(368)  # 400 in all
            for n in (372, 404, 4000):
                if here:
                    assert ask(c, request(n))[1] == bytes(n)
                else:
                    assert no_reply(c, request(n)), n
            # more than portmap receives, in either case
            for n in (8980, 30000):
                assert no_reply(c, request(n))
            assert ask(c, request(4))[1] == bytes(4)
        assert len(s.seen) == 7
    assert daemon.counters()["callit.too_long"] == \
        (2 if here else 5)


BAD_ANSWERS = {
    "nothing": lambda r: b"",
    "one byte": lambda r: b"x",
    "no multiple of four": lambda r: success(r, b"abcd")[:-1],
    "a call": lambda r: r,
    "wrong xid": lambda r: bytes([r[0] ^ 1]) + success(r)[1:],
    "xid of the caller": lambda r: rpc.words(4711) + success(r)[4:],
    "truncated in the header": lambda r: success(r)[:20],
    "truncated after the xid": lambda r: success(r)[:4],
    "denied": lambda r: r[:4] + rpc.words(1, 1, 1, 5),
    "reply state 7": lambda r: r[:4] + rpc.words(1, 7, 0, 0, 0),
    "PROG_UNAVAIL": lambda r: r[:4] + rpc.words(1, 0, 0, 0, 1),
    "PROG_MISMATCH": lambda r: r[:4] + rpc.words(1, 0, 0, 0, 2, 1, 9),
    "PROC_UNAVAIL": lambda r: r[:4] + rpc.words(1, 0, 0, 0, 3),
    "GARBAGE_ARGS": lambda r: r[:4] + rpc.words(1, 0, 0, 0, 4),
    "state 99": lambda r: r[:4] + rpc.words(1, 0, 0, 0, 99),
    "verifier beyond the end": lambda r: r[:4] + rpc.words(1, 0, 0, 400, 0),
    "verifier of 404": lambda r: r[:4] + rpc.words(1, 0, 0, 404) + bytes(408),
    "verifier 4294967292": lambda r: r[:4] + rpc.words(1, 0, 0, 0xfffffffc, 0),
    "noise": lambda r: bytes(range(200)),
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
def test_bad_answers_are_not_relayed(pair, what):
    a, b, _ = pair
    with Service(a, reply=lambda r, *_: [BAD_ANSWERS[what](r)]) as s, \
            b.udp("192.168.77.1") as c:
        c.send(callit(PROG, xid=4711))
        until(lambda: s.seen)
        c.null()
        c.sock.settimeout(0.1)
        with pytest.raises(socket.timeout):
            c.receive()


def test_a_good_answer_after_bad_ones_with_another_xid(pair):
    a, b, _ = pair
    with Service(a, reply=lambda r, *_: [
            b"x", rpc.words(1) + success(r)[4:], success(r, b"good")]), \
            b.udp("192.168.77.1") as c:
        assert ask(c, callit(PROG))[1] == b"good"


def test_a_doubled_answer_is_relayed_once(pair):
    a, b, _ = pair
    with Service(a, reply=lambda r, *_: [success(r, b"good")] * 3), \
            b.udp("192.168.77.1") as c:
        assert ask(c, callit(PROG))[1] == b"good"
        c.null()
        c.sock.settimeout(0.1)
        with pytest.raises(socket.timeout):
            c.receive()


def test_answers_from_another_port_or_address(pair):
    """Only the service itself can reply: a socket on another port, which
    even knows the xid, cannot."""
    a, b, _ = pair
    other = a.bound(socket.SOCK_DGRAM)

    def reply(request, source, sock):
        for _ in range(3):
            other.sendto(success(request, b"evil"), source)
        return []
    with other, Service(a, reply=reply) as s, \
            b.udp("192.168.77.1") as c:
        assert no_reply(c, callit(PROG))
        assert s.seen


def test_a_service_with_a_verifier(pair):
    a, b, _ = pair
    with Service(a, reply=lambda r, *_: [
            r[:4] + rpc.words(1, 0, 1, 6) + b"verify\0\0" + rpc.words(0)
            + b"good"]), b.udp("192.168.77.1") as c:
        assert ask(c, callit(PROG))[1] == b"good"


@pytest.mark.slow
def test_a_service_that_is_dead(pair):
    """The ICMP error may be forged, so the CALLIT ends by its timeout."""
    a, b, daemon = pair
    with Service(a):
        pass
    fds = daemon.fds()
    with b.udp("192.168.77.1") as c:
        c.send(callit(PROG))
        c.null()
        until(lambda: daemon.counters()["callit.expired"] == 1)
        assert daemon.fds() == fds


def test_a_forged_icmp_error(pair):
    """It names the ports of the CALLIT, of which there are few."""
    a, b, _ = pair
    with a.bound(socket.SOCK_DGRAM) as service, a.local() as root, \
            b.udp("192.168.77.1") as c, \
            b.socket(socket.AF_INET, socket.SOCK_RAW,
                     proto=socket.IPPROTO_ICMP) as raw:
        port = service.getsockname()[1]
        assert root.set(PROG, 1, UDP, port) == 1
        c.send(callit(PROG))
        request, source = service.recvfrom(1000)
        icmp = struct.pack(">BBHI", 3, 3, 0, 0) + rpc.packet(
            "192.168.77.1", "192.168.77.1", b"", source[1], port)
        raw.sendto(icmp[:2] + struct.pack(">H", rpc.checksum(icmp)) + icmp[4:],
                   ("192.168.77.1", 0))
        with b.udp("192.168.77.1") as other:
            other.null()
        service.sendto(success(request, b"good"), source)
        assert rpc.parse(c.receive()).body[8:] == b"good"


def test_forged_sources_do_not_displace_loopback_callers(pair):
    """Hundreds of on-link sources, and a service that does not reply."""
    a, b, daemon = pair
    a.run(["ip", "addr", "add", "10.5.0.1/16", "dev", "veth0"])
    with a.bound(socket.SOCK_DGRAM) as mute, a.local() as root, \
            a.bound(socket.SOCK_DGRAM) as service, a.udp() as c, \
            b.socket(socket.AF_INET, socket.SOCK_RAW,
                     proto=socket.IPPROTO_RAW) as raw:
        assert root.set(PROG, 1, UDP, mute.getsockname()[1]) == 1
        assert root.set(PROG + 1, 1, UDP, service.getsockname()[1]) == 1
        c.send(callit(PROG + 1))
        request, source = service.recvfrom(1000)
        evicted = 0
        for i in range(1000):
            forged = f"10.5.{1 + i // 200}.{1 + i % 200}"
            raw.sendto(rpc.packet(forged, "192.168.77.1", callit(PROG)),
                       ("192.168.77.1", 0))
            if i % 10 == 0:  # of more calls together, some are too late
                evicted = daemon.counters()["callit.evicted"]
            if evicted > 40:
                break
        assert evicted > 40
        service.sendto(success(request, b"good"), source)
        assert rpc.parse(c.receive()).body[8:] == b"good"


def test_a_user_does_not_displace_the_calls_of_others(pair):
    """To the same service, which takes long for the one and is mute for the
    other, who is on this host, too."""
    a, _, daemon = pair
    with a.bound(socket.SOCK_DGRAM) as service, a.local() as root, \
            a.udp(uid=1002) as c, a.udp(uid=1001) as greedy:
        assert root.set(PROG, 1, UDP, service.getsockname()[1]) == 1
        c.send(callit(PROG))
        request, source = service.recvfrom(1000)
        for _ in range(40):
            greedy.send(callit(PROG, proc=2))
        until(lambda: daemon.counters()["callit.evicted"] == 8)
        service.sendto(success(request, b"good"), source)
        assert rpc.parse(c.receive()).body[8:] == b"good"


def test_the_xids_of_our_own_are_not_to_be_guessed(pair):
    a, b, _ = pair
    with Service(a) as s, b.udp("192.168.77.1") as c:
        for i in range(64):
            ask(c, callit(PROG, xid=i))
        xids = [rpc.unwords(r[:4])[0] for r, _ in s.seen]
    assert len(set(xids)) == 64
    steps = {(y - x) % 2**32 for x, y in zip(xids, xids[1:])}
    assert len(steps) > 60
    assert max(xids) > 2**31 and min(xids) < 2**31


@pytest.mark.slow
def test_a_service_that_never_answers(make_host, start):
    """The promise: nothing waits, and nothing stays."""
    a, b, c = make_host(), make_host(), make_host()
    connect_hosts(a, b, "192.168.77", ("veth0", "veth0"))
    connect_hosts(a, c, "192.168.78", ("veth1", "veth0"))
    daemon = start(a, *LINK)
    n = 1000 if SANITIZED else 5000
    with Service(a, PROG, reply=lambda *_: []), \
            Service(a, PROG + 1), a.udp() as probe, \
            b.udp("192.168.77.1") as flood, c.udp("192.168.78.1") as good:
        probe.null()
        fds, rss = daemon.fds(), daemon.rss()
        with calling(daemon, a.udp()):
            for i in range(n):
                flood.send(callit(PROG))
                if i % 500 == 0:
                    assert ask_again(good, lambda: callit(PROG + 1))
        # one may be about to take the place of another
        assert daemon.fds() - fds <= 32 + 1, "the bound of one source"
        # many sources: the bound of all together
        sources = []
        for i in range(3, 15):
            b.run(["ip", "addr", "add", f"192.168.77.{i}/24", "dev", "veth0"])
            sources.append(b.udp("192.168.77.1", source=f"192.168.77.{i}"))
        for _ in range(40):
            for s in sources:
                s.send(callit(PROG))
        assert ask_again(good, lambda: callit(PROG + 1))
        assert probe.getport(PROG, 1, UDP)
        assert daemon.fds() - fds <= 256 + 1
        until(lambda: daemon.fds() <= fds, 6, "all descriptors back")
        assert SANITIZED or daemon.rss() - rss < 2048
        for s in sources:
            s.sock.close()
    seen = daemon.counters()
    assert seen["callit.evicted"] > 0 and seen["callit.expired"] > 0
    assert seen["callits"] == 0


def test_few_descriptors(linked, start):
    """CALLITs take a fixed part of them."""
    a, b = linked
    daemon = start(a, *LINK, under=["prlimit", "--nofile=64"])
    with Service(a, reply=lambda *_: []), b.udp("192.168.77.1") as c:
        for _ in range(20):
            c.send(callit(PROG))
        c.null()
        assert daemon.counters()["callits"] == 6


def callits_in_progress(pair):
    a, b, daemon = pair
    with Service(a, reply=lambda *_: []) as s, b.udp("192.168.77.1") as c:
        c.send(callit(PROG))
        until(lambda: s.seen)
        daemon.stop()


def test_verbose(linked, start):
    a, b = linked
    daemon = start(a, "-v", *LINK)
    daemon.expect("call ", "badcall ", "callit ")
    with Service(a), b.udp("192.168.77.1", sport=4321) as c:
        ask(c, callit(PROG))
        c.silent(callit(rpc.PMAP, 2))
    for what in ("forwarded", "relayed"):
        daemon.expect_line(f"callit result={what} from=192.168.77.2:4321 "
                           f"via=network prog={PROG} vers=1 proc=0")
    daemon.expect_line("callit result=refused from=192.168.77.2:4321 "
                       "via=network prog=100000 ")


def fuzz(a, b, rounds):
    """Caller and service at once, both making mistakes."""
    dice = random.Random(4711)

    def mangle(data):
        data = bytearray(data)
        for _ in range(dice.choice((0, 0, 1, 1, 2, 8))):
            if data:
                data[dice.randrange(len(data))] = dice.choice(
                    (0, 1, 0x7f, 0x80, 0xff, dice.randrange(256)))
        return bytes(data[:dice.choice((len(data), len(data), len(data),
                                        dice.randrange(len(data) + 1)))])

    def reply(request, *_):
        return [mangle(success(request, bytes(dice.randrange(0, 420, 4))))
                for _ in range(dice.choice((0, 1, 1, 2)))]
    replied = 0
    with Service(a, reply=reply) as s, a.udp() as inside, \
            b.udp("192.168.77.1") as outside:
        for _ in range(rounds):
            c = dice.choice((inside, outside))
            c.send(mangle(callit(PROG, 1, dice.randrange(4),
                                 bytes(dice.randrange(0, 64, 4)))))
            c.sock.settimeout(0.002)
            with contextlib.suppress(socket.timeout):
                c.receive()
                replied += 1
        assert s.seen and replied
        outside.sock.settimeout(5)
        probe = rpc.call(rpc.NULL)
        outside.send(probe)
        until(lambda: outside.receive()[:4] == probe[:4])


@pytest.mark.slow
def test_fuzz(pair):
    pair[2].expect("refused ", "suppressed ")
    fuzz(*pair[:2], 3000)


@pytest.mark.slow
@pytest.mark.plain
def test_fuzz_under_valgrind(linked, start):
    a, b = linked
    daemon = start(a, "-S", *LINK, under=UNDER_VALGRIND)
    daemon.expect("refused ", "suppressed ")
    fuzz(a, b, 500)


# real software

@pytest.mark.slow
def test_rpcinfo_b(pair):
    need_program("rpcinfo")
    a, b, daemon = pair
    with Service(a):
        for _ in range(2):
            daemon.rests()
            fds = daemon.fds()
            for host in (a, b):
                # it would listen for 12 seconds
                _, out = host.run(["stdbuf", "-oL", "timeout", "1", "rpcinfo",
                                   "-b", str(PROG), "1"], check=False)
                assert re.search(r"^192\.168\.77\.1\.\d+\.\d+\s", out, re.M), \
                    out
            until(lambda: daemon.fds() == fds)


def make_var(host, domain):
    """A /var for ypserv and ypbind."""
    host.run(["mount", "-t", "tmpfs", "tmpfs", "/var"])
    host.run(["mkdir", "-p", f"/var/yp/{domain}", "/var/yp/binding"])
    host.run(["ln", "-s", "/run", "/var/run"])


def in_domain(*args):
    """The NIS domain is the machine's: change it in a namespace."""
    need_program(args[0])
    return ["unshare", "-u", "sh", "-c",
            'domainname test.domain; exec "$@"', "sh", *args]


def registered(host, prog, vers=None):
    with host.local() as c:
        return any(e[0] == prog and e[2] == UDP for e in c.dump())


def test_ypbind_finds_ypserv_by_broadcast(linked, start):
    a, b = linked
    start(a, *LINK)
    start(b, *LINK)
    make_var(a, "test.domain")
    make_var(b, "test.domain")
    with running(a, *in_domain("ypserv", "-f")):
        until(lambda: registered(a, 100004), what="ypserv registered")
        with running(b, *in_domain("ypbind", "-broadcast", "-n")):
            until(lambda: registered(b, 100007), what="ypbind registered")
            until(lambda: "192.168.77.1" in b.run(
                in_domain("ypwhich"), check=False)[1], 20, "bound")


@pytest.mark.slow
def test_rup(pair):
    a, b, _ = pair
    with running(a, "rpc.rstatd"):
        until(lambda: registered(a, 100001), what="rstatd registered")
        out = b.run(["sh", "-c", "stdbuf -oL timeout 2 rup; true"])
        assert "192.168.77.1" in out and ", load" in out


def test_bootparam_whoami(pair):
    a, b, _ = pair
    a.own_etc()
    a.run(["sh", "-c", "echo 'client root=server:/export' > /etc/bootparams; "
           "echo 192.168.77.2 client >> /etc/hosts"])
    with running(a, "rpc.bootparamd", "-r", "192.168.77.1"):
        until(lambda: registered(a, 100026), what="bootparamd registered")
        with b.udp("192.168.77.1") as c:
            # whoami: an IPv4 address, four bytes as four words
            args = rpc.words(1, 192, 168, 77, 2)
            reply = ask(c, callit(100026, 1, 1, args))
            assert b"client" in reply[1]
