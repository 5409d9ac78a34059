# SPDX-License-Identifier: BSD-2-Clause
"""What version 2 replies, by the byte, on every origin."""
import contextlib
import signal
import socket

import pytest

import rpc
from lab import connect_hosts
from rpc import TCP, UDP

PROG = 300100


@pytest.fixture(params=["udp", "tcp", "local"])
def client(request, host, daemon):
    with {"udp": host.root_udp, "tcp": host.root_tcp,
          "local": host.local}[request.param]() as c:
        yield c


def test_null(client):
    data = rpc.call(rpc.NULL, xid=0x01020304)
    reply = client.raw(data)
    assert reply.raw == rpc.words(0x01020304, 1, 0, 0, 0, 0)


def test_set_getport_unset(host, daemon, client):
    assert client.getport(PROG, 1, UDP) == 0
    assert client.set(PROG, 1, UDP, 5001) == 1
    assert client.set(PROG, 1, TCP, 5002) == 1
    assert client.getport(PROG, 1, UDP) == 5001
    assert client.getport(PROG, 1, TCP) == 5002
    assert client.unset(PROG, 1) == 1
    assert client.getport(PROG, 1, UDP) == client.getport(PROG, 1, TCP) == 0


def test_getport_reply_bytes(client):
    reply = client.raw(rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, TCP, 0),
                                xid=7))
    assert reply.raw == rpc.words(7, 1, 0, 0, 0, 0, 111)


def test_own_entries_come_first_then_order_of_registration(client):
    assert client.dump() == rpc.OWN
    entries = [(PROG + i * 7919 % 50, 1 + i % 3, (TCP, UDP)[i % 2], 5000 + i)
               for i in range(50)]
    for e in entries:
        assert client.set(*e) == 1
    assert client.dump() == rpc.OWN + entries
    assert client.unset(entries[10][0], entries[10][1]) == 1
    rest = [e for e in entries if e[:2] != entries[10][:2]]
    assert client.dump() == rpc.OWN + rest


def test_identical_set_is_true_and_changes_nothing(client):
    for _ in range(3):
        assert client.set(PROG, 1, UDP, 5001) == 1
    assert client.dump() == rpc.OWN + [(PROG, 1, UDP, 5001)]


@pytest.mark.parametrize("prot,port", [
    (UDP, 0), (UDP, 65536), (UDP, 70000), (TCP, 0xffffffff), (0, 5000),
    (1, 5000), (18, 5000), (0x11000011, 5000), (0xffffffff, 5000)])
def test_set_out_of_range(client, daemon, prot, port):
    daemon.expect("refused proc=set .*reason=range")
    assert client.set(PROG, 1, prot, port) == 0
    assert client.dump() == rpc.OWN


@pytest.mark.parametrize("port", [1024, 65535])
def test_set_at_the_edges(client, port):
    assert client.set(PROG, 1, UDP, port) == 1
    assert client.getport(PROG, 1, UDP) == port


def test_program_and_version_use_all_32_bits(client):
    assert client.set(0xffffffff, 0xfffffffe, UDP, 5000) == 1
    assert client.getport(0xffffffff, 0xfffffffe, UDP) == 5000
    assert client.set(0, 0, TCP, 5001) == 1
    assert client.getport(0, 0, TCP) == 5001


@pytest.mark.parametrize("prot", [0, TCP, UDP, 99])
def test_unset_removes_every_protocol_whatever_prot_says(client, prot):
    client.set(PROG, 1, UDP, 5001)
    client.set(PROG, 1, TCP, 5002)
    client.set(PROG, 2, TCP, 5003)
    assert client.unset(PROG, 1, prot, 4) == 1
    assert client.dump() == rpc.OWN + [(PROG, 2, TCP, 5003)]


def test_unset_of_nothing_is_true(client):
    assert client.unset(PROG, 1) == 1


def test_getport_falls_back_to_another_version(client):
    client.set(PROG, 3, UDP, 5003)
    client.set(PROG, 1, UDP, 5001)
    client.set(PROG, 4, TCP, 5004)
    assert client.getport(PROG, 1, UDP) == 5001
    assert client.getport(PROG, 0, UDP) == 5003
    assert client.getport(PROG, 0, TCP) == 5004
    assert client.getport(PROG, 1, TCP) == 5004
    assert client.getport(PROG, 1, 99) == 0


def test_getport_ignores_the_port_argument(client):
    client.set(PROG, 1, UDP, 5001)
    assert client.getport(PROG, 1, UDP, 4242) == 5001


@pytest.mark.parametrize("vers", [0, 1, 2, 3, 4, 9])
def test_getport_of_the_mapper_itself(client, vers):
    assert client.getport(rpc.PMAP, vers, UDP) == 111


@pytest.mark.parametrize("vers", [0, 1, 2, 3, 9])
def test_the_mapper_cannot_be_set_or_unset(client, daemon, vers):
    daemon.expect("refused .*reason=self")
    assert client.set(rpc.PMAP, vers, UDP, 5000) == 0
    assert client.unset(rpc.PMAP, vers) == 0
    assert client.dump() == rpc.OWN


def test_other_program(client):
    reply = client.call(0, prog=100003, vers=3)
    assert (reply.kind, reply.stat) == ("accepted", rpc.PROG_UNAVAIL)


@pytest.mark.parametrize("proc", [6, 7, 9999, 0xffffffff])
def test_unknown_procedure(client, proc):
    reply = client.call(proc, rpc.mapping(1, 2, 3, 4))
    assert (reply.kind, reply.stat) == ("accepted", rpc.PROC_UNAVAIL)


@pytest.mark.parametrize("vers", [0, 1, 9, 0xffffffff])
def test_other_versions(client, vers):
    for proc in (0, 1, 3, 4, 77):
        reply = client.call(proc, vers=vers)
        assert (reply.stat, reply.low, reply.high) == \
            (rpc.PROG_MISMATCH, 2, 2)


@pytest.mark.parametrize("rpcvers", [0, 1, 3, 0xffffffff])
def test_rpc_version(client, rpcvers):
    reply = client.call(0, rpcvers=rpcvers)
    assert (reply.kind, reply.low, reply.high) == ("rpc_mismatch", 2, 2)
    assert len(reply.raw) == 24


@pytest.mark.parametrize("proc", [rpc.SET, rpc.UNSET, rpc.GETPORT])
@pytest.mark.parametrize("length", range(0, 16))
def test_short_arguments(client, proc, length):
    # a whole one first: nothing of it may complete the short one
    assert client.set(PROG, 1, UDP, 5001) == 1
    args = rpc.mapping(PROG + 1, 1, UDP, 5002)[:length]
    reply = client.call(proc, args)
    assert (reply.kind, reply.stat) == ("accepted", rpc.GARBAGE)
    assert client.dump() == rpc.OWN + [(PROG, 1, UDP, 5001)]


def test_trailing_bytes_are_ignored(client):
    assert client._word(rpc.SET, rpc.mapping(PROG, 1, UDP, 5001)
                        + b"junk" * 100) == 1
    assert client.getport(PROG, 1, UDP) == 5001
    reply = client.call(rpc.DUMP, b"junk" * 16)
    assert rpc.parse_dump(reply.body)[2:] == [(PROG, 1, UDP, 5001)]


@pytest.mark.parametrize("flavor", [2, 3, 6, 99, 0xffffffff])
def test_other_credentials(client, flavor):
    for body in (b"", b"\0" * 16, b"\0" * 400):
        reply = client.call(0, cred=(flavor, body))
        assert (reply.kind, reply.stat) == ("auth_error", rpc.REJECTEDCRED)


@pytest.mark.parametrize("cred", [
    rpc.authsys(), rpc.authsys(1000, 1000, range(16), "x" * 255),
    rpc.authsys(machine=""), (0, b"\0" * 400)])
def test_credentials_that_are_taken(client, cred):
    client.null(cred=cred)
    assert client.getport(rpc.PMAP, 2, UDP, cred=cred) == 111


@pytest.mark.parametrize("body", [
    b"", b"\0" * 16,
    rpc.words(0, 256) + b"x" * 256 + rpc.words(0, 0, 0),
    rpc.words(0, 0xffffffff, 0, 0, 0),
    rpc.words(0, 4, 0, 0, 0),
    rpc.words(0, 0, 0, 0, 17) + b"\0" * 68,
    rpc.words(0, 0, 0, 0, 1),
    rpc.words(0, 0, 0, 0, 0xffffffff)])
def test_bad_authsys(client, body):
    reply = client.call(0, cred=(1, body))
    assert (reply.kind, reply.stat) == ("auth_error", rpc.BADCRED)


def test_a_verifier_is_not_sent_back(client):
    client.null(cred=rpc.authsys(), verf=(1, b"v" * 64))


BAD_CALLS = {
    "empty": b"",
    "one byte": b"x",
    "39 bytes": rpc.call(0)[:39],
    "a reply": rpc.call(0, direction=1),
    "direction 2": rpc.call(0, direction=2),
    "credential of 404": rpc.call(0, cred=(0, b"\0" * 404)),
    "credential beyond the end": rpc.words(9, 0, 2, rpc.PMAP, 2, 0, 0, 400, 0,
                                           0),
    "verifier of 404": rpc.call(0, verf=(0, b"\0" * 404)),
    "verifier beyond the end": rpc.words(9, 0, 2, rpc.PMAP, 2, 0, 0, 0, 0, 4),
    "length 4294967295": rpc.words(9, 0, 2, rpc.PMAP, 2, 0, 0, 0xffffffff, 0,
                                   0),
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("what", BAD_CALLS)
def test_bad_calls_get_no_reply(host, daemon, what):
    with host.udp() as c:
        assert c.silent(BAD_CALLS[what])
    for origin in (host.tcp, host.local):
        with origin() as c:
            assert c.closed(rpc.record(BAD_CALLS[what]))


def test_longest_call(host, daemon):
    def padded(n):
        data = rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0))
        return data + bytes(n - len(data))
    for origin in (host.udp, host.tcp, host.local):
        with origin() as c:
            assert c.raw(padded(9000)).stat == rpc.SUCCESS
    with host.udp() as c:
        assert c.silent(padded(9001))
    for origin in (host.tcp, host.local):
        with origin() as c:
            assert c.closed(rpc.record(padded(9001)))


def test_dump_over_udp_is_bounded_by_a_datagram(host, daemon):
    longest = (65507 - 28) // 20  # entries
    with host.local() as c, contextlib.ExitStack() as stack:
        for i in range(longest - 2):
            assert c.set(PROG + i, 1, UDP, 5000) == 1
        # the buffer for replies has no room for all of these
        clients = [stack.enter_context(host.udp()) for _ in range(10)]
        daemon.send(signal.SIGSTOP)
        for u in clients:
            u.send(rpc.call(rpc.DUMP))
        daemon.send(signal.SIGCONT)
        for u in clients:
            assert len(rpc.parse_dump(u.reply().body)) == longest
        assert daemon.counters()["too_long"] == 0
        assert c.set(PROG + longest, 1, UDP, 5000) == 1
        reply = clients[0].call(rpc.DUMP)
        assert (reply.kind, reply.stat) == ("accepted", rpc.SYSTEM_ERR)
        assert daemon.counters()["too_long"] == 1
        with host.tcp() as t:
            assert len(t.dump()) == longest + 1


def test_a_reply_leaves_by_the_route_to_the_caller(make_host, start):
    """Which need not be the interface that received the call."""
    a, b = make_host(), make_host()
    connect_hosts(a, b, "192.168.77", ("veth0", "veth0"))
    connect_hosts(a, b, "192.168.78", ("veth1", "veth1"))
    start(a)
    for host in (a, b):
        for name in ("all", "veth0", "veth1"):
            host.sysctl(f"net.ipv4.conf.{name}.rp_filter", 0)
            # no ARP for the addresses of another interface
            host.sysctl(f"net.ipv4.conf.{name}.arp_ignore", 1)
            host.sysctl(f"net.ipv4.conf.{name}.arp_announce", 2)
    with b.udp("192.168.77.1", source="192.168.78.2") as c:
        c.null()


def test_a_reply_that_cannot_be_sent_is_counted(linked, start):
    """And those to others, which are sent together with it, are not lost."""
    a, b = linked
    daemon = start(a)
    a.sysctl("net.ipv4.conf.all.rp_filter", 0)
    a.sysctl("net.ipv4.conf.veth0.rp_filter", 0)
    b.run(["ip", "addr", "add", "192.0.2.7/32", "dev", "veth0"])
    with b.udp("192.168.77.1") as good, \
            b.udp("192.168.77.1", source="192.0.2.7") as without_route:
        good.null()
        daemon.send(signal.SIGSTOP)
        for c in (without_route, good, without_route):
            c.send(rpc.call(rpc.NULL))
        daemon.send(signal.SIGCONT)
        good.receive()
    assert daemon.counters()["lost"] == 2


@pytest.mark.parametrize("origin", ["tcp", "local"])
def test_fragments_make_one_record(host, daemon, origin):
    data = rpc.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5001))
    with {"tcp": host.root_tcp, "local": host.local}[origin]() as c:
        for size in (1, 3, 4, 17, 55):
            pieces = [data[i:i + size] for i in range(0, len(data), size)]
            for i, piece in enumerate(pieces):
                c.sock.sendall(rpc.record(piece, i == len(pieces) - 1))
            reply = c.reply()
            assert (reply.stat, reply.body) == (rpc.SUCCESS, rpc.words(1))
        # an empty last fragment ends a record, too
        c.sock.sendall(rpc.record(data, False) + rpc.record(b""))
        assert c.reply().body == rpc.words(1)
        # one byte at a time
        for byte in rpc.record(data):
            c.sock.sendall(bytes([byte]))
        assert c.reply().body == rpc.words(1)


@pytest.mark.parametrize("origin", ["tcp", "local"])
@pytest.mark.parametrize("data", [
    rpc.record(b"", False), rpc.words(0x7fffffff), rpc.words(0xffffffff),
    rpc.words(0x80000000 | 9001), rpc.words(9001), rpc.record(b""),
    rpc.record(b"x" * 8000, False) + rpc.words(1001)])
def test_bad_records_close_the_connection(host, daemon, origin, data):
    with getattr(host, origin)() as c:
        assert c.closed(data)


@pytest.mark.parametrize("origin", ["tcp", "local"])
def test_replies_before_a_bad_record_arrive(host, daemon, origin):
    """Also those that the socket has no room for when it is found."""
    with host.local() as root:
        for i in range(1000):
            root.set(PROG, i, UDP, 5000)
    for calls in range(1, 30):
        with getattr(host, origin)() as c:
            c.sock.sendall(b"".join(
                rpc.record(rpc.call(rpc.DUMP, xid=i)) for i in range(calls))
                + b"\xff\xff\xff\xff")
            for i in range(calls):
                assert len(rpc.parse_dump(c.reply().body)) == 1002
            assert c.closed()


@pytest.mark.parametrize("origin", ["tcp", "local"])
def test_pipelined_calls_are_answered_in_order_and_at_once(host, daemon, origin):
    calls = [rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0), xid=i)
             for i in range(500)]
    with getattr(host, origin)() as c:
        c.sock.sendall(b"".join(map(rpc.record, calls)))
        assert [c.reply().xid for _ in calls] == list(range(500))


@pytest.mark.parametrize("origin", ["tcp", "local"])
def test_a_client_that_has_said_all_gets_all_answers(host, daemon, origin):
    with host.local() as c:
        for i in range(1000):
            c.set(PROG + i, 1, UDP, 5000)
    with getattr(host, origin)() as c:
        c.sock.sendall(rpc.record(rpc.call(rpc.DUMP)) * 50)
        c.sock.shutdown(socket.SHUT_WR)
        for _ in range(50):
            assert len(rpc.parse_dump(c.reply().body)) == 1002
        assert c.closed()
