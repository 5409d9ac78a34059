# SPDX-License-Identifier: BSD-2-Clause
"""Who may change what: by door, by owner, by port, by quota."""
import socket

import pytest

import rpc
from lab import NOBODY, connect_hosts, reach_loopback
from rpc import TCP, UDP

PROG = 300200
DGRAM, STREAM = socket.SOCK_DGRAM, socket.SOCK_STREAM


@pytest.fixture
def refusing(daemon):
    daemon.expect(r"refused ", r"withheld ")
    return daemon


def entries(host):
    with host.local() as c:
        return c.dump()[2:]


def test_network_door_may_not_change_anything(neighbours, start):
    a, b = neighbours
    start(a).expect("refused proc=(set|unset) .*why=door")
    with a.local() as c:
        c.set(PROG, 1, UDP, 5000)
    for door in (b.udp, b.tcp):
        with door("192.168.77.1", sport=750) as c:
            for args in (rpc.mapping(PROG, 2, UDP, 5001), b"", b"abc"):
                for proc in (rpc.SET, rpc.UNSET):
                    for cred in (rpc.NONE, rpc.authsys()):
                        # decided before the arguments are decoded
                        reply = c.call(proc, args, cred=cred)
                        assert (reply.kind, reply.stat) == \
                            ("auth_error", rpc.TOOWEAK)
            assert c.getport(PROG, 1, UDP) == 5000
    assert entries(a) == [(PROG, 1, UDP, 5000)]


def test_own_addresses_are_the_network_door(neighbours, start):
    a, _ = neighbours
    start(a).expect("refused ")
    for to in ("192.168.77.1", "127.0.0.2"):
        for door in (a.udp, a.tcp):
            with door(to) as c:
                reply = c.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000))
                assert (reply.kind, reply.stat) == ("auth_error", rpc.TOOWEAK)


def test_nobody_at_the_local_door(host, refusing):
    with host.local() as root, host.local(NOBODY) as c:
        assert root.set(PROG, 1, UDP, 4000) == 1
        assert c.set(PROG + 1, 1, UDP, 5000) == 1
        for port in (1, 111, 1023, 2049):
            assert c.set(PROG + 2, 1, TCP, port) == 0
        # not root's entries, nor other versions or protocols of its programs
        assert c.unset(PROG, 1) == 0
        assert c.set(PROG, 1, UDP, 4001) == 0
        assert c.set(PROG, 7, UDP, 5001) == 0
        assert c.set(PROG, 1, TCP, 5001) == 0
        assert c.dump()[2:] == [(PROG, 1, UDP, 4000), (PROG + 1, 1, UDP, 5000)]
        assert c.unset(PROG + 1, 1) == 1
        assert c.dump()[2:] == [(PROG, 1, UDP, 4000)]


def test_uids_do_not_touch_each_other(host, refusing):
    with host.local(1001) as a, host.local(1002) as b, host.udp() as anon:
        with host.bound(DGRAM) as s:
            port = s.getsockname()[1]
            assert a.set(PROG, 1, UDP, port) == 1
            assert b.unset(PROG, 1) == 0
            assert b.set(PROG, 1, UDP, 5000) == 0
            assert anon.unset(PROG, 1) == 0
            assert anon.set(PROG, 1, UDP, 5000) == 0
            # another version is free for all as long as root has none
            assert b.set(PROG, 2, UDP, 5000) == 1
            assert a.unset(PROG, 2) == 0
    with host.root_udp() as root:
        assert root.unset(PROG, 1) == root.unset(PROG, 2) == 1


def test_unset_is_all_or_nothing(host, refusing):
    with host.local(1001) as a, host.local(1002) as b:
        assert a.set(PROG, 1, UDP, 5000) == 1
        assert b.set(PROG, 1, TCP, 5001) == 1
        assert a.unset(PROG, 1) == 0
        assert b.unset(PROG, 1) == 0
        assert len(a.dump()) == 4


def test_loopback_door_by_source_port(host, refusing):
    with host.udp() as anon, host.root_udp() as root, host.tcp() as tcp:
        assert anon.set(PROG, 1, UDP, 5000) == 1
        assert tcp.unset(PROG, 1) == 1
        for port in (1023, 2049, 600):
            assert anon.set(PROG, 1, UDP, port) == 0
            assert tcp.set(PROG, 1, TCP, port) == 0
        assert root.set(PROG, 1, UDP, 1023) == 1
        assert anon.unset(PROG, 1) == 0
        assert root.set(PROG + 1, 1, TCP, 2049) == 1
        assert tcp.unset(PROG + 1, 1) == 0
        assert root.unset(PROG, 1) == root.unset(PROG + 1, 1) == 1
        # what nobody is known to own is not a local uid's either
        assert anon.set(PROG, 1, UDP, 5000) == 1
        with host.local(NOBODY) as c:
            assert c.unset(PROG, 1) == 0


@pytest.mark.parametrize("start_port", [0, 700])
def test_a_privileged_port_is_one_that_the_kernel_guards(
        host, refusing, start_port):
    with host.root_udp() as c:
        assert c.set(PROG, 1, UDP, 600) == 1
        host.sysctl("net.ipv4.ip_unprivileged_port_start", start_port)
        assert c.set(PROG + 1, 1, UDP, 600) == 0
        assert c.unset(PROG, 1) == 0
        if start_port:
            with host.udp(sport=650) as low:
                assert low.unset(PROG, 1) == 1


def test_a_reserved_port_for_who_is_bound_to_it(host, refusing):
    with host.local(1001) as c:
        for kind, prot in ((DGRAM, UDP), (STREAM, TCP)):
            for port in (662, 2049):
                assert c.set(PROG, 1, prot, port) == 0
                with host.bound(kind, port, uid=1002):
                    assert c.set(PROG, 1, prot, port) == 0
                with host.bound(kind, port, uid=1001):
                    # of the right protocol only
                    assert c.set(PROG, 1, TCP + UDP - prot, port) == 0
                    assert c.set(PROG, 1, prot, port) == 1
                    assert c.unset(PROG, 1) == 1


def test_another_port_only_once_the_old_one_is_free(host, refusing):
    refusing.expect("replaced prog=300200")
    for kind, prot in ((DGRAM, UDP), (STREAM, TCP)):
        for uid in (0, 1001):
            with host.local(uid) as c:
                with host.bound(kind) as s:
                    old = s.getsockname()[1]
                    assert c.set(PROG, 1, prot, old) == 1
                    assert c.set(PROG, 1, prot, old - 1) == 0
                    assert c.getport(PROG, 1, prot) == old
                assert c.set(PROG, 1, prot, old - 1) == 1
                assert c.getport(PROG, 1, prot) == old - 1
                assert c.unset(PROG, 1) == 1


@pytest.mark.parametrize("addr,v6only,free", [
    ("::", 0, 0), ("::", 1, 1), ("::1", 0, 1), ("::ffff:127.0.0.1", 0, 0)])
@pytest.mark.parametrize("kind,prot", [(DGRAM, UDP), (STREAM, TCP)])
def test_dual_stack_sockets_count(host, refusing, kind, prot, addr, v6only,
                                  free):
    refusing.expect("replaced ")
    with host.net():
        s = socket.socket(socket.AF_INET6, kind)
    with s, host.local() as c:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        s.bind((addr, 0))
        if kind == STREAM:
            s.listen()
        port = s.getsockname()[1]
        assert c.set(PROG, 1, prot, port) == 1
        # one for IPv6 only does not serve what version 2 speaks of
        assert c.set(PROG, 1, prot, 5000) == free


def test_a_dead_entry_is_nobodys(host, refusing):
    refusing.expect("replaced prog=300200 .*owner=1001 by port=5001 owner=1002")
    with host.local(1001) as a, host.local(1002) as b:
        assert a.set(PROG, 1, UDP, 5000) == 1
        assert b.set(PROG, 1, UDP, 5001) == 1
        assert a.unset(PROG, 1) == 0
        assert b.unset(PROG, 1) == 1


def test_dead_entries_of_root_stay_roots(host, refusing):
    with host.local() as root, host.local(NOBODY) as c:
        assert root.set(PROG, 1, UDP, 5000) == 1
        assert c.set(PROG, 1, UDP, 5001) == 0
        assert c.set(PROG, 1, UDP, 5000) == 0


def test_identical_set_by_another_changes_no_owner(host, refusing):
    with host.local(1001) as a, host.local(1002) as b, \
            host.bound(DGRAM) as s:
        port = s.getsockname()[1]
        assert a.set(PROG, 1, UDP, port) == 1
        assert b.set(PROG, 1, UDP, port) == 1
        assert b.unset(PROG, 1) == 0
        assert a.unset(PROG, 1) == 1


def test_root_takes_over_what_others_squat_on(host, refusing):
    refusing.expect("replaced ")
    with host.local() as root, host.local(NOBODY) as c, \
            host.bound(DGRAM) as s:
        port = s.getsockname()[1]
        assert c.set(PROG, 1, UDP, port) == 1
        assert c.set(PROG, 9, UDP, port) == 1
        assert root.set(PROG, 1, UDP, 4000) == 1
        assert c.unset(PROG, 1) == 0
        # a made-up version is not handed out when root has one
        assert root.getport(PROG, 2, UDP) == 4000
        assert root.getport(PROG, 9, UDP) == port
        # the same port, too, becomes root's
        assert root.set(PROG, 9, UDP, port) == 1
        assert c.unset(PROG, 9) == 0


def test_quotas(host, refusing):
    with host.local() as root:
        with host.local(1001) as c:
            answers = [c.set(PROG + i, 1, UDP, 5000) for i in range(257)]
            assert answers == [1] * 256 + [0]
            assert c.unset(PROG, 1) == 1
            assert c.set(PROG + 256, 1, UDP, 5000) == 1
        for uid in (1002, 1003):
            with host.local(uid) as c:
                assert all(c.set(PROG + uid * 1000 + i, 1, UDP, 5000)
                           for i in range(256))
        with host.udp() as anon:
            answers = [anon.set(PROG - 1 - i, 1, UDP, 5000)
                       for i in range(257)]
            assert answers == [1] * 256 + [0]
        with host.local(1004) as c:
            assert c.set(1, 1, UDP, 5000) == 0
        answers = [root.set(10_000_000 + i, 1, TCP, 5000)
                   for i in range(16384 - 1024 + 1)]
        assert answers == [1] * (16384 - 1024) + [0]
        assert len(root.dump()) == 16384 + 2
        assert root.unset(10_000_000, 1) == 1
        assert root.set(10_000_000 + 20000, 1, TCP, 5000) == 1
    refusing.expect_line("refused .*why=quota")


def test_a_neighbour_that_forges_the_loopback_address(neighbours, start):
    """With route_localnet, as kube-proxy sets it, the other end of a wire can
    reach 127.0.0.1, from 127.0.0.1: the interface tells."""
    a, b = neighbours
    daemon = start(a)
    daemon.expect("refused ")
    reach_loopback(a, b)

    # a plain one first: the packets really arrive, at the network door
    for door in (b.udp, b.tcp):
        with door("127.0.0.1", sport=760) as c:
            reply = c.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000))
            assert (reply.kind, reply.stat) == ("auth_error", rpc.TOOWEAK)
    daemon.expect_line("refused proc=set from=192.168.77.2:760 .*why=door")

    # then with a forged source, from a raw socket: UDP needs no answer
    payload = rpc.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000))
    udp = rpc.struct.pack(">HHHH", 760, 111, 8 + len(payload), 0) + payload
    loopback = socket.inet_aton("127.0.0.1")
    packet = rpc.struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0,
                             loopback, loopback) + udp
    with b.socket(socket.AF_INET, socket.SOCK_RAW,
                  proto=socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        raw.sendto(packet, ("127.0.0.1", 0))
        raw.sendto(packet, ("127.0.0.1", 0))
    daemon.expect_line("refused proc=set from=127.0.0.1:760 .*why=door")
    assert entries(a) == []


def test_an_address_that_a_does_not_let_in(make_host, start):
    a, b, c = make_host(), make_host(), make_host()
    connect_hosts(a, b, "192.168.77", ("veth0", "veth0"))
    connect_hosts(a, c, "192.168.78", ("veth1", "veth0"))
    start(a, "-a", "192.168.77.0/24", "-a", "10.0.0.0/8")
    with b.udp("192.168.77.1") as udp, b.tcp("192.168.77.1") as tcp:
        assert udp.getport(rpc.PMAP, 2, UDP) == 111
        assert tcp.getport(rpc.PMAP, 2, UDP) == 111
    with c.tcp("192.168.78.1") as tcp:
        assert tcp.closed(rpc.record(rpc.call(0)))
    with c.udp("192.168.78.1") as udp:
        udp.send(rpc.call(0))
        # own addresses always may; this answer comes after the other's time
        with a.udp("192.168.78.1") as own, a.tcp("192.168.77.1") as own2:
            own.null()
            own2.null()
        udp.sock.settimeout(0.2)
        with pytest.raises(socket.timeout):
            udp.receive()
