# SPDX-License-Identifier: BSD-2-Clause
"""UDP over IPv6, which says no: nobody waits for a timeout."""
import re
import socket
import struct

import pytest

import rpc
from lab import INTEROP, connect_ipv6, need, need_program, until
from rpc import UDP

PROG = 300950
MISMATCH = rpc.words(1, 0, 0, 0, 2, 2, 2)  # low 2, high 2


@pytest.fixture(autouse=True)
def ipv6():
    need(socket.has_ipv6, "needs IPv6")


def udp6(host, address="::1"):
    s = host.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.connect((address, 111))
    s.settimeout(5)
    return s


def ask(s, *args, **kw):
    """The reply to a call, without its xid."""
    call = rpc.call(*args, **kw)
    s.send(call)
    reply = s.recv(1000)
    assert reply[:4] == call[:4] and len(reply) <= len(call)
    return reply[4:]


@pytest.mark.parametrize("options", [(), ("-l",), ("-i", "127.0.0.2"),
                                     ("-a", "192.0.2.1")])
def test_it_says_no(host, start, options):
    daemon = start(host, *options)
    with udp6(host) as s:
        assert ask(s, rpc.NULL) == rpc.words(1, 0, 0, 0, 0)
        for proc in (rpc.GETPORT, rpc.DUMP, rpc.SET, 77):
            assert ask(s, proc, rpc.mapping(PROG, 1, UDP, 0)) == \
                rpc.words(1, 0, 0, 0, 3)
        for vers in (0, 1, 3, 4, 0xffffffff):
            assert ask(s, rpc.NULL, vers=vers) == MISMATCH
        assert ask(s, rpc.NULL, prog=PROG) == rpc.words(1, 0, 0, 0, 1)
        # a credential as long as can be
        assert ask(s, rpc.NULL, cred=(1, bytes(400))) == \
            rpc.words(1, 0, 0, 0, 0)
    counters = daemon.counters()
    assert [counters[f"ipv6.{proc}"] for proc in
            ("null", "set", "getport", "dump")] == [2, 1, 1, 1]


def test_what_is_no_call_has_no_reply(host, daemon):
    good = rpc.call(rpc.NULL)
    bad = [b"", good[:39], good[:4] + rpc.words(1) + good[8:],
           rpc.call(rpc.NULL, cred=(1, bytes(404))),
           rpc.call(rpc.NULL, cred=(1, bytes(8)))[:-12],
           good[:36] + rpc.words(4), good[:28] + rpc.words(0xffffffff, 0, 0)]
    with udp6(host) as s:
        for data in bad:
            s.send(data)
        s.send(good)
        assert s.recv(1000)[:4] == good[:4], "in order, so no other came"
        s.send(good[:8] + rpc.words(3) + good[12:])
        assert s.recv(1000)[4:] == rpc.words(1, 1, 0, 2, 2), "RPC_MISMATCH"
    assert daemon.counters()["badcalls"] == len(bad) + 1


def test_a_call_without_a_source_gets_no_reply(linked, start):
    """From ::, to which a reply would go to ::1."""
    a, b = linked
    connect_ipv6(a, b)
    daemon = start(a)
    call = rpc.call(rpc.NULL)
    udp = struct.pack("!HHHH", 700, 111, 8 + len(call), 0) + call
    to = socket.inet_pton(socket.AF_INET6, "fd00::1")
    pseudo = bytes(16) + to + struct.pack("!II", len(udp), 17)
    udp = udp[:6] + struct.pack("!H", rpc.checksum(pseudo + udp)) + udp[8:]
    packet = struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + bytes(16) + \
        to + udp
    with a.socket(socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 700)) as victim, \
            b.socket(socket.AF_INET6, socket.SOCK_RAW,
                     proto=socket.IPPROTO_RAW) as raw:
        raw.sendto(packet, ("fd00::1", 0))
        until(lambda: daemon.counters()["badcalls"] == 1)
        victim.setblocking(False)
        with pytest.raises(BlockingIOError):
            victim.recv(100)


def test_a_bad_call_is_logged_with_its_address(host, start):
    daemon = start(host, "-v")
    with udp6(host) as s:
        ask(s, rpc.NULL, prog=PROG)
        daemon.expect_line(rf"badcall from=\[::1\]:{s.getsockname()[1]} "
                           "via=ipv6 reason=program")


def test_the_network(linked, start):
    """One unicast reply from the address that was asked; none for -a."""
    a, b = linked
    connect_ipv6(a, b)
    a.run(["ip", "addr", "add", "fd00::3/64", "nodad", "dev", "veth0"])
    daemon = start(a)
    for address in ("fd00::1", "fd00::3"):
        with udp6(b, address) as s:  # connected: from no other address
            assert ask(s, rpc.NULL, vers=4) == MISMATCH
    with b.net():
        index = socket.if_nametoindex("veth0")
    with b.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        link = a.run(["ip", "-6", "-o", "addr", "show", "dev", "veth0", "scope",
                      "link"]).split()[3].split("/")[0]
        for to, known in (("ff02::1", False), (link, True)):
            call = rpc.call(rpc.NULL)
            s.sendto(call, (to, 111, 0, index))
            if known:
                assert s.recv(100)[:4] == call[:4], "none to the multicast"
    assert daemon.counters()["lost"] == 0
    daemon.stop()
    start(a, "-a", "192.168.77.0/24").expect("denied from=\\[fd00::2\\]:")
    with udp6(b, "fd00::1") as s, udp6(a) as own:
        s.send(rpc.call(rpc.NULL))
        assert ask(own, rpc.NULL, vers=4) == MISMATCH
        s.setblocking(False)
        with pytest.raises(BlockingIOError):
            s.recv(100)


@pytest.mark.parametrize("options", [(), ("-l",)])
def test_a_host_without_ipv6(host, start, options):
    host.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    start(host, *options)
    with host.udp() as c:
        c.null()


def test_the_port_is_taken(host, start):
    with host.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(("::", 111))
        daemon = start(host)
        daemon.expect_line(r"cannot listen on port 111/udp of IPv6: "
                           r"Address already in use: ")


CLIENTS = {
    "showmount -e localhost": "showmount",
    "rpcinfo -l localhost 300950 1": f"{INTEROP}/usr/sbin/rpcinfo",
    "rup localhost": "rup",
}


@pytest.mark.parametrize("mapper", ["portmap", "rpcbind"])
@pytest.mark.parametrize("command", CLIENTS)
def test_clients_give_up_at_once(host, start, mapper, command):
    """Without that socket, each of these waits for 60 seconds."""
    need_program(CLIENTS[command])
    host.own_etc()
    host.path("/etc/hosts").write_text("::1 localhost\n127.0.0.1 localhost\n")
    if mapper == "portmap":
        start(host)
    else:
        host.prepare_rpcbind()
        host.run(["rpcbind"])
    _, out = host.run(command.split(), check=False, timeout=20)
    assert re.search("not registered|No remote programs|version mismatch", out)
