# SPDX-License-Identifier: BSD-2-Clause
"""This host: NULL, SET and UNSET of versions 3 and 4, which libtirpc and the
kernel send to the local socket, and libtirpc over loopback where it does not see
that."""
import os
import socket
import stat

import pytest

import rpc
from lab import NOBODY
from rpc import TCP, UDP

PROG = 300300


@pytest.fixture
def client(host, daemon):
    daemon.expect(r"refused ", r"suppressed ")
    with host.local() as c:
        yield c


@pytest.fixture(params=["local", "root_udp", "root_tcp"])
def root(host, daemon, request):
    """Root, by each way that this host has."""
    daemon.expect(r"refused ", r"suppressed ")
    with getattr(host, request.param)() as c:
        yield c


MISMATCH = (1, 0, 0, 0, rpc.PROG_MISMATCH, 2, 2)
PMAP_PROCS = {rpc.NULL: b"", rpc.DUMP: b"",
              **dict.fromkeys((rpc.SET, rpc.UNSET, rpc.GETPORT),
                              rpc.mapping(PROG, 1, UDP, 5001)),
              rpc.CALLIT: rpc.words(PROG, 1, 0, 0)}


@pytest.mark.parametrize("vers", [3, 4])
@pytest.mark.parametrize("proc", range(13))
def test_every_procedure_by_the_byte(root, vers, proc):
    """NULL, SET and UNSET are served; every other procedure gets the reply for
    a version that is not served."""
    served = {rpc.NULL: (b"", (1, 0, 0, 0, 0)),
              rpc.SET: (rpc.rpcb(PROG, 1, "udp", rpc.uaddr(5001)),
                        (1, 0, 0, 0, 0, 1)),
              rpc.UNSET: (rpc.rpcb(PROG, 1, "udp", ""), (1, 0, 0, 0, 0, 1))}
    args, expected = served.get(proc, (rpc.rpcb(PROG, 1, "udp", ""), MISMATCH))
    reply = root.raw(rpc.call(proc, args, vers=vers, xid=0x01020304))
    assert reply.raw == rpc.words(0x01020304, *expected)
    assert root.dump()[2:] == ([(PROG, 1, UDP, 5001)] if proc == rpc.SET
                                 else [])


@pytest.mark.parametrize("vers", [0, 1, 5, 0xffffffff])
@pytest.mark.parametrize("proc", range(13))
def test_other_versions_on_this_host(root, vers, proc):
    reply = root.raw(rpc.call(proc, rpc.rpcb(PROG, 1, "udp", ""), vers=vers,
                                xid=7))
    assert reply.raw == rpc.words(7, *MISMATCH)


@pytest.mark.parametrize("vers", [3, 4])
@pytest.mark.parametrize("proc", range(13))
def test_the_network_gets_version_2_only(linked, start, vers, proc):
    """The addresses of this host as well."""
    a, b = linked
    start(a)
    for client in (a.udp("192.168.77.1"), a.tcp("192.168.77.1"),
                   b.udp("192.168.77.1"), b.tcp("192.168.77.1")):
        with client as c:
            for args in (rpc.rpcb(PROG, 1, "udp", rpc.uaddr(5001)),
                         PMAP_PROCS.get(proc, b"")):
                reply = c.raw(rpc.call(proc, args, vers=vers, xid=7))
                assert reply.raw == rpc.words(7, *MISMATCH)
    with a.local() as c:
        assert c.dump() == rpc.OWN


def test_registrations_over_loopback_have_its_identities(host, daemon):
    daemon.expect("refused ")
    with host.udp(uid=1001) as anon, host.tcp(uid=1001) as user, \
            host.bound(socket.SOCK_DGRAM, uid=1001) as s:
        port = s.getsockname()[1]
        assert anon.set3(PROG, 1, "udp", rpc.uaddr(port + 1)) == 0
        assert anon.set3(PROG, 1, "udp", rpc.uaddr(port)) == 1
        assert anon.unset3(PROG, 1) == 1
        assert user.set3(PROG, 1, "udp", rpc.uaddr(600)) == 0
        assert user.set3(PROG, 1, "tcp", rpc.uaddr(5001)) == 1
        assert anon.unset3(PROG, 1) == 0


@pytest.mark.parametrize("vers", [3, 4])
def test_what_the_kernel_registers_for_ipv6(root, vers):
    """nfsd's listener on [::] is registered by version 4, and with nothing
    else: a refusal costs the server all of IPv6."""
    for netid in ("tcp6", "udp6"):
        for proc in (rpc.UNSET, rpc.SET):
            assert root.call(
                proc, rpc.rpcb(100003, 3, netid, "::.8.1", "0"),
                vers=vers).body == rpc.words(1)
    assert root.dump() == rpc.OWN


@pytest.mark.parametrize("netid,prot", [("udp", UDP), ("tcp", TCP)])
def test_set_becomes_a_version_2_mapping(root, netid, prot):
    assert root.set3(PROG, 1, netid, rpc.uaddr(5001)) == 1
    assert root.set3(PROG, 2, netid, rpc.uaddr(65535, "127.0.0.1")) == 1
    assert root.dump()[2:] == [(PROG, 1, prot, 5001), (PROG, 2, prot, 65535)]


@pytest.mark.parametrize("netid", ["udp6", "tcp6", "local", "unix", "rawip"])
def test_netids_that_version_2_has_no_word_for(client, netid):
    for addr in ("::.19.137", "/run/x.sock", "", "noise"):
        assert client.set3(PROG, 1, netid, addr) == 1
    assert client.dump() == rpc.OWN
    client.set(PROG, 1, UDP, 5001)
    assert client.unset3(PROG, 1, netid) == 1
    assert client.getport(PROG, 1, UDP) == 5001


@pytest.mark.parametrize("netid", ["", "UDP", "udp ", "xyz", "udp4",
                                   "x" * 255])
def test_unknown_netid(client, netid):
    assert client.set3(PROG, 1, netid, rpc.uaddr(5001)) == 0
    if netid:
        assert client.unset3(PROG, 1, netid) == 0
    assert client.dump() == rpc.OWN


@pytest.mark.parametrize("addr", [
    "", "1", "0.0.0.0", "0.0.0.0.19", "0.0.0.0.19.", "0.0.0.0.19.137.",
    "0.0.0.0.19.137.1", ".0.0.0.19.137", "0.0.0.0.19.256", "0.0.0.0.256.1",
    "256.0.0.0.19.137", "0.0.0.0.19.-1", "0.0.0.0.+19.137", " 0.0.0.0.19.137",
    "0.0.0.0.19.137 ", "0.0.0.0.019.137", "0.0.0.0.0x13.137", "0..0.0.19.137",
    "0.0.0.0.19.4294967433", "a.b.c.d.e.f", "::.19.137", "0.0.0.0.0.0"])
def test_addresses_that_do_not_parse(client, addr):
    assert client.set3(PROG, 1, "udp", addr) == 0
    assert client.dump() == rpc.OWN


def test_unset_by_netid(root):
    for netid in ("udp", "tcp"):
        root.set3(PROG, 1, netid, rpc.uaddr(5001))
    root.set(PROG, 2, UDP, 5002)
    assert root.unset3(PROG, 1, "udp") == 1
    assert root.dump()[2:] == [(PROG, 1, TCP, 5001), (PROG, 2, UDP, 5002)]
    assert root.unset3(PROG, 1, "udp") == 1
    root.set3(PROG, 1, "udp", rpc.uaddr(5001))
    assert root.unset3(PROG, 1, "") == 1
    assert root.dump()[2:] == [(PROG, 2, UDP, 5002)]


def test_the_owner_string_is_ignored(host, client):
    with host.local(NOBODY) as c, host.bound(socket.SOCK_DGRAM) as s:
        port = s.getsockname()[1]
        assert client.set3(PROG, 1, "udp", rpc.uaddr(port), "nobody") == 1
        for owner in ("superuser", "root", "0", "65534"):
            assert c.unset3(PROG, 1, "udp") == 0
            assert c.unset3(PROG, 1) == 0
            assert c.set3(PROG, 2, "udp", rpc.uaddr(5001), owner) == 0
            assert c.set3(PROG + 1, 1, "tcp", rpc.uaddr(1023), owner) == 0
        assert c.set3(PROG + 1, 1, "tcp", rpc.uaddr(5001), "root") == 1
        assert c.unset3(PROG + 1, 1, owner="root") == 1


def test_the_mapper_itself(client):
    for netid in ("udp", "tcp", "udp6", "local"):
        assert client.set3(rpc.PMAP, 3, netid, rpc.uaddr(5001)) == 0
        assert client.unset3(rpc.PMAP, 2, netid) == 0
    assert client.unset3(rpc.PMAP, 2) == 0
    assert client.dump() == rpc.OWN


@pytest.mark.parametrize("vers", [3, 4])
@pytest.mark.parametrize("args", [
    b"", rpc.words(PROG), rpc.words(PROG, 1), rpc.words(PROG, 1, 3),
    rpc.words(PROG, 1) + rpc.string("udp"),
    rpc.words(PROG, 1) + rpc.string("udp") + rpc.string(rpc.uaddr(5001)),
    rpc.words(PROG, 1) + rpc.string("x" * 256) + rpc.string("") * 2,
    rpc.words(PROG, 1) + rpc.string("udp") + rpc.string("1" * 256)
    + rpc.string(""),
    rpc.words(PROG, 1, 0xffffffff) + b"udp\0",
    rpc.words(PROG, 1, 0x7ffffffc) + b"udp\0",
    rpc.words(PROG, 1) + rpc.string(b"udp\0x") + rpc.string("") * 2])
def test_bodies_that_do_not_decode(client, vers, args):
    for proc in (rpc.SET, rpc.UNSET):
        reply = client.call(proc, args, vers=vers)
        assert (reply.kind, reply.stat) == ("accepted", rpc.GARBAGE)
    assert client.dump() == rpc.OWN


@pytest.mark.parametrize("origin", ["local", "udp", "tcp"])
@pytest.mark.parametrize("vers", [3, 4])
def test_other_procedures_by_the_byte(host, daemon, origin, vers):
    """rpcinfo, showmount, mount.nfs and nmap fall back to version 2 on this
    reply: PROG_MISMATCH, lowest 2, highest 2."""
    with getattr(host, origin)() as c:
        for proc in range(3, 14):
            call = rpc.call(proc, rpc.words(PROG, 1) + rpc.string("udp")
                            + 2 * rpc.string(""), vers=vers)
            c.send(call)
            assert c.receive() == call[:4] + rpc.words(1, 0, 0, 0, 2, 2, 2)


def test_both_names_of_the_socket(host, daemon):
    path = host.path("/run/rpcbind.sock")
    st = os.stat(path)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o666
    script = ("import socket; s = socket.socket(socket.AF_UNIX); "
              "s.connect('/run/rpcbind.sock')")
    host.run(["/usr/bin/python3", "-c", script], uid=NOBODY)
    for name in (str(path), "\0/run/rpcbind.sock"):
        with rpc.Client(host.socket(socket.AF_UNIX, socket.SOCK_STREAM,
                                    connect=name)) as c:
            c.null(vers=3)
