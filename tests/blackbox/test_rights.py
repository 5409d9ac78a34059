# SPDX-License-Identifier: BSD-2-Clause
"""Who may change what: by origin, by owner, by port, by quota."""
import contextlib
import os
import re
import signal
import socket
import struct

import pytest

import rpc
from lab import NOBODY, connect_hosts, reach_loopback, traced, until
from rpc import TCP, UDP

PROG = 300200
DGRAM, STREAM = socket.SOCK_DGRAM, socket.SOCK_STREAM


@pytest.fixture
def refusing(daemon):
    daemon.expect(r"refused ", r"suppressed ")
    return daemon


def entries(host):
    with host.local() as c:
        return c.dump()[2:]


def test_network_may_not_change_anything(linked, start):
    a, b = linked
    start(a).expect("refused proc=(set|unset) .*reason=origin")
    with a.local() as c:
        c.set(PROG, 1, UDP, 5000)
    for origin in (b.udp, b.tcp):
        with origin("192.168.77.1", sport=750) as c:
            for args in (rpc.mapping(PROG, 2, UDP, 5001), b"", b"abc"):
                for proc in (rpc.SET, rpc.UNSET):
                    for cred in (rpc.NONE, rpc.authsys()):
                        # decided before the arguments are decoded
                        reply = c.call(proc, args, cred=cred)
                        assert (reply.kind, reply.stat) == \
                            ("auth_error", rpc.TOOWEAK)
            assert c.getport(PROG, 1, UDP) == 5000
    assert entries(a) == [(PROG, 1, UDP, 5000)]


def test_own_addresses_are_the_network_origin(linked, start):
    a, _ = linked
    start(a).expect("refused ")
    for origin in (a.udp, a.tcp):
        with origin("192.168.77.1") as c:
            reply = c.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000))
            assert (reply.kind, reply.stat) == ("auth_error", rpc.TOOWEAK)


def test_the_name_of_the_host_is_loopback(host, refusing):
    """Debian's installer gives it 127.0.1.1, where dietlibc's pmap_set() and
    Python servers register."""
    with host.bound(DGRAM, uid=1001) as s:
        port = s.getsockname()[1]
        for client in (host.udp, host.tcp):
            with client("127.0.1.1", uid=1001) as c, \
                    client("127.0.1.1", uid=1002) as other:
                assert c.set(PROG, 1, UDP, port) == 1
                assert other.unset(PROG, 1) == 0
                assert c.unset(PROG, 1) == 1
        with host.privileged(host.udp, to="127.0.1.1") as root:
            assert root.set(PROG, 1, UDP, 600) == 1
    with host.socket(socket.AF_INET, DGRAM) as s:
        s.sendto(rpc.call(rpc.NULL), ("127.0.1.1", 111))
        assert s.recvfrom(100)[1] == ("127.0.1.1", 111)


def test_users_on_the_local_socket(host, refusing):
    with host.local() as root, host.local(NOBODY) as c, \
            host.bound(DGRAM) as s:
        port = s.getsockname()[1]
        assert root.set(PROG, 1, UDP, port) == 1
        assert c.set(PROG + 1, 1, UDP, 5000) == 1
        for reserved in (1, 111, 1023, 2049):
            assert c.set(PROG + 2, 1, TCP, reserved) == 0
        # not root's entries, nor other versions or protocols of its programs
        assert c.unset(PROG, 1) == 0
        assert c.set(PROG, 1, UDP, 4001) == 0
        assert c.set(PROG, 1, UDP, port) == 0
        assert c.set(PROG, 7, UDP, 5001) == 0
        assert c.set(PROG, 1, TCP, 5001) == 0
        assert c.dump()[2:] == [(PROG, 1, UDP, port), (PROG + 1, 1, UDP, 5000)]
        assert c.unset(PROG + 1, 1) == 1
        assert c.dump()[2:] == [(PROG, 1, UDP, port)]


def test_a_program_has_one_owner(host, refusing):
    """The one with a live entry: no version, no protocol for another user."""
    refusing.expect("replaced ")
    with host.local(1001) as a, host.local(1002) as b, \
            host.udp(uid=1002) as anon, host.bound(DGRAM, uid=1002) as theirs:
        with host.bound(DGRAM, uid=1001) as s:
            port = s.getsockname()[1]
            assert a.set(PROG, 1, UDP, port) == 1
            assert b.unset(PROG, 1) == 0
            assert anon.unset(PROG, 1) == 0
            for vers, prot in ((1, UDP), (1, TCP), (2, UDP)):
                assert b.set(PROG, vers, prot, 5000) == 0
                assert anon.set(PROG, vers, prot, theirs.getsockname()[1]) == 0
            assert a.set(PROG, 2, TCP, 5000) == 1
            assert a.unset(PROG, 2) == 1
        # its port is free now
        assert b.set(PROG, 2, UDP, 5000) == 1
        assert b.set(PROG, 1, UDP, 5000) == 1
        assert a.unset(PROG, 1) == 0
    with host.root_udp() as root:
        assert root.unset(PROG, 1) == root.unset(PROG, 2) == 1


def test_who_registers_a_dead_program_has_all_of_it(host, refusing):
    """Else the one before opens its port again, and keeps the new owner from
    other versions."""
    refusing.expect(f"replaced prog={PROG} ")
    with host.local(1001) as a, host.local(1002) as b, host.local(1003) as c:
        assert a.set(PROG, 1, UDP, 5000) == 1
        assert a.set(PROG, 3, TCP, 5000) == 1
        assert b.set(PROG, 1, TCP, 5001) == 1
        assert b.dump()[2:] == [(PROG, 1, TCP, 5001)]
        with host.bound(DGRAM, 5000, uid=1001), host.bound(STREAM, 5001,
                                                           uid=1002):
            assert a.set(PROG, 1, UDP, 5000) == 0
            assert a.unset(PROG, 1) == 0
            assert b.set(PROG, 1, TCP, 5001) == 1
            assert b.set(PROG, 2, UDP, 5002) == 1
            assert c.unset(PROG, 1) == 0
        assert b.unset(PROG, 1) == 1
        assert a.unset(PROG, 1) == 1, "nothing is there"
    refusing.expect_line("refused proc=unset uid=1003 .*reason=owner")


@pytest.mark.parametrize("prog", [100003, 100005, 100024, 600100069])
def test_protected_programs(host, refusing, prog):
    """Clients trust these names: root and system accounts only."""
    with host.local() as root, host.local(102) as system, \
            host.local(1001) as user, host.udp(uid=1001) as anon, \
            host.tcp(uid=1001) as tcp, host.bound(DGRAM, uid=1001) as s:
        for c in (user, anon, tcp):
            assert c.set(prog, 1, UDP, s.getsockname()[1]) == 0
        for c in (system, root):
            assert c.set(prog, 1, UDP, 5000) == 1
            assert c.unset(prog, 1) == 1
    # over loopback, too, if the port is theirs
    for uid in (0, 102):
        with host.bound(DGRAM, uid=uid) as s, host.udp(uid=uid) as udp, \
                host.tcp(uid=uid) as tcp:
            for c in (udp, tcp):
                assert c.set(prog, 1, UDP, s.getsockname()[1]) == 1
                assert c.unset(prog, 1) == 1
    refusing.expect_line("refused .*reason=protected")


def test_callers_over_udp_must_hold_the_port(host, refusing):
    """Their socket is looked up, and so is that on the port."""
    with host.bound(DGRAM, uid=1001) as udp, host.bound(STREAM, uid=1001) as tcp, \
            host.udp(uid=1001) as c, host.udp(uid=1002) as other, \
            host.udp() as root_without_privileged_port:
        uport, tport = udp.getsockname()[1], tcp.getsockname()[1]
        for x in (other, root_without_privileged_port):
            assert x.set(PROG, 1, UDP, uport) == 0
        assert c.set(PROG, 1, UDP, uport + 1) == 0
        assert c.set(PROG, 1, UDP, uport) == 1
        assert c.set(PROG, 1, TCP, tport) == 1
        assert c.set(PROG, 1, TCP, tport) == 1
        # nor can others remove it, whatever their identity
        for x in (other, root_without_privileged_port):
            assert x.set(PROG, 2, UDP, 5000) == 0
            assert x.unset(PROG, 1) == 0
        with host.local(1001) as local:
            assert local.unset(PROG, 1) == 0
        assert c.unset(PROG, 1) == 1
    refusing.expect_line("refused .*reason=holder")


def test_callers_over_tcp_are_the_user_of_their_socket(host, refusing):
    """What a user registers over TCP is as safe as on the local socket."""
    with host.tcp(uid=1001) as c, host.local(1001) as same, \
            host.tcp(uid=1002) as other, host.udp(uid=1001) as anon, \
            host.bound(DGRAM, uid=1001) as s:
        assert c.set(PROG, 1, UDP, s.getsockname()[1]) == 1
        assert c.set(PROG + 1, 1, UDP, 5000) == 1, "no need to hold it"
        assert c.set(PROG + 2, 1, UDP, 600) == 0
        for x in (other, anon):
            assert x.unset(PROG, 1) == 0
            assert x.set(PROG, 2, UDP, s.getsockname()[1]) == 0
        assert same.unset(PROG, 1) == 1
        assert same.set(PROG, 1, UDP, 5000) == 1
        assert c.unset(PROG, 1) == 1
    refusing.expect_line("refused .*reason=program")


@pytest.mark.parametrize("server", [0, 250])
def test_a_user_does_not_send_in_the_name_of_a_server(host, refusing, server):
    """It is bound to one address, so that users can bind its port of another
    one, and choose the source by IP_PKTINFO."""
    with host.bound(DGRAM, addr="127.0.0.1", uid=server) as s:
        port = s.getsockname()[1]
        with host.socket(socket.AF_INET, DGRAM, ("127.0.0.2", port),
                         uid=1001) as thief:
            info = struct.pack("=I4s4s", 0, socket.inet_aton("127.0.0.1"),
                               bytes(4))
            thief.sendmsg(
                [rpc.call(rpc.SET, rpc.mapping(100005, 3, UDP, port))],
                [(socket.IPPROTO_IP, 8, info)], 0, ("127.0.0.1", 111))
            assert rpc.parse(s.recv(100)).body == rpc.words(0)
    refusing.expect_line(r"refused proc=set from=127.0.0.1:\d+ .*"
                         "prog=100005 .*reason=protected")


@pytest.mark.parametrize("client", ["udp", "tcp"])
def test_a_server_of_root_without_a_privileged_port(host, refusing, client):
    """As Java and Python make them.  It registers what root holds; but it is
    not root, because a process of root may send what others gave it."""
    with host.bound(DGRAM) as s, host.bound(DGRAM, uid=1001) as theirs, \
            getattr(host, client)() as c, host.local() as root:
        port = s.getsockname()[1]
        assert c.set(PROG, 1, UDP, port) == 1
        assert c.unset(PROG, 1) == 1
        assert c.set(PROG, 1, UDP, theirs.getsockname()[1]) == 0
        assert c.set(PROG, 1, UDP, 600) == 0
        assert root.set(PROG + 1, 1, UDP, port) == 1
        assert c.unset(PROG + 1, 1) == 0
        assert c.set(PROG + 1, 2, UDP, port) == 0


def test_a_tcp_caller_whose_socket_is_gone(host, refusing):
    """It has sent its call, and closed: nobody knows whose it was."""
    refusing.send(signal.SIGSTOP)
    with host.tcp(uid=1001) as c:
        c.send(rpc.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000)))
    refusing.send(signal.SIGCONT)
    refusing.expect_line("refused proc=set .*reason=unknown")
    assert entries(host) == []


def test_a_reset_connection_is_not_of_the_next_socket(host, refusing):
    """A user sends a call and resets the connection; before it is read, a
    system account has a connection from the same port."""
    refusing.send(signal.SIGSTOP)
    with host.tcp(uid=1001, sport=50505) as c:
        c.send(rpc.call(rpc.SET, rpc.mapping(100005, 1, UDP, 5000)))
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
    with host.tcp(uid=105, sport=50505) as c:
        refusing.send(signal.SIGCONT)
        refusing.expect_line("refused proc=set .*reason=unknown")
        assert c.getport(100005, 1, UDP) == 0


def test_a_tcp_caller_is_not_who_listens_at_its_port(host, refusing):
    """The socket of the caller is bound to lo."""
    with host.socket(socket.AF_INET, STREAM, uid=1001) as s, \
            host.socket(socket.AF_INET, STREAM, uid=250) as server:
        for x in s, server:
            x.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        s.bind(("127.0.0.1", 0))
        s.connect(("127.0.0.1", 111))
        server.bind(s.getsockname())
        server.listen()
        c = rpc.Client(s)
        assert c.set(100005, 3, UDP, 5000) == 0
        assert c.set(PROG, 1, UDP, 5000) == 1, "as itself"
    refusing.expect_line("refused .*prog=100005 .*reason=protected")


@pytest.mark.parametrize("uid", [0, 250])
def test_hundreds_of_sockets_on_the_port_of_a_server_that_is_gone(
        host, refusing, uid):
    """They cannot all be looked at, and keep the server from nothing."""
    refusing.expect("replaced ")
    with host.bound(DGRAM, uid=uid) as s, host.local(uid) as c:
        port = s.getsockname()[1]
        assert c.set(PROG, 1, UDP, port) == 1
        s.close()
        with contextlib.ExitStack() as stack:
            for _ in range(600):
                x = stack.enter_context(
                    host.socket(socket.AF_INET, DGRAM, uid=1001))
                x.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                x.bind(("0.0.0.0", port))
            assert c.set(PROG, 1, UDP, 5001) == 1


def test_who_holds_the_port_is_not_kept_out(host, refusing):
    """By somebody who registers that port first."""
    refusing.expect("replaced ")
    with host.local(1001) as first, host.local(1002) as holder, \
            host.bound(DGRAM, uid=1002) as s:
        port = s.getsockname()[1]
        assert first.set(PROG, 1, UDP, port) == 1
        assert first.set(PROG, 2, UDP, port) == 1
        assert holder.set(PROG, 1, UDP, port) == 1
        assert first.set(PROG, 1, UDP, port) == 0
        assert first.unset(PROG, 1) == 0
        assert holder.unset(PROG, 1) == 1
    # a socket of root keeps an entry of whoever has registered it
    with host.bound(DGRAM) as s, host.local(1001) as first, \
            host.local(1002) as other:
        assert first.set(PROG + 1, 1, UDP, s.getsockname()[1]) == 1
        assert other.set(PROG + 1, 1, UDP, 5000) == 0


def own_addresses(host, n):
    for i in range(n):
        host.run(["ip", "addr", "add", f"10.1.0.{i + 1}/24", "dev", "lo"])


def lookups(trace):
    """How many there were before the reply, or the line of the log."""
    return trace.read_text().split("write(")[0].count("SOCK_DIAG_BY_FAMILY")


def sweep(daemon, entries):
    """HUP; then so many entries are left."""
    daemon.send(signal.SIGHUP)
    daemon.expect_line(f"swept stale=[0-9]+ entries={entries}")


def test_stale_entries_do_not_keep_a_program_from_others(host, refusing):
    """To find out about so many can take too long for one call."""
    refusing.expect("stale ", "replaced ")
    with host.local(1001) as c, host.local() as root:
        assert root.set(PROG + 1, 1, UDP, 40000) == 1
        for vers in range(2, 250):
            assert c.set(PROG, vers, UDP, 40000 + vers) == 1
        assert c.set(PROG + 2, 1, UDP, 40001) == 1
    with host.bound(socket.SOCK_DGRAM, 5000, uid=1002), host.local(1002) as c:
        until(lambda: c.set(PROG, 1, UDP, 5000) == 1, 60)
        refusing.expect_line("refused .* reason=busy")
        # the last one that is checked
        until(lambda: c.getport(PROG + 2, 1, UDP) == 0, 60)
        assert c.getport(PROG + 1, 1, UDP) == 40000, "root's stay"


@pytest.mark.plain
def test_lookups_of_a_change(host, start, tmp_path):
    """What a rule decides needs none, nor do entries behind a live one."""
    own_addresses(host, 3)
    daemon = start(host)
    daemon.expect("refused ", "replaced ")
    with host.local() as root, host.local(1001) as owner, \
            host.local(1002) as c, host.bound(DGRAM, uid=1001) as s:
        for i in range(20):
            assert owner.set(PROG, i, UDP, 5000 + i) == 1
        assert owner.set(PROG + 1, 1, UDP, s.getsockname()[1]) == 1
        assert owner.set(PROG + 1, 2, UDP, 5000) == 1
        for i in range(4):
            assert owner.set(PROG + 2, i, UDP, 5000 + i) == 1
        for n, (args, granted, most) in enumerate((
                ((100003, 1, UDP, 5000), 0, 0), ((PROG, 1, UDP, 0), 0, 0),
                # a glance, and a search for both families
                ((PROG, 1, UDP, 600), 0, 3), ((PROG + 1, 1, UDP, 5000), 0, 1),
                ((PROG + 2, 1, UDP, 5000), 1, 3 * 4))):
            trace = tmp_path / f"strace{n}"
            with traced(daemon, trace, "-e", "trace=sendto,write"):
                assert c.set(*args) == granted
            assert lookups(trace) <= most, args
        assert root.set(PROG, 1, UDP, 5000) == 1


def test_stale_entries_of_anonymous_callers(host, refusing):
    with host.udp(uid=1001) as c, host.udp(uid=1002) as other:
        with host.bound(DGRAM, uid=1001) as s:
            assert c.set(PROG, 1, UDP, s.getsockname()[1]) == 1
            assert other.unset(PROG, 1) == 0
        assert other.unset(PROG, 1) == 1


def test_loopback_by_source_port(host, refusing):
    with host.udp(uid=1001) as anon, host.root_udp() as root, \
            host.tcp(uid=1001) as tcp, host.bound(DGRAM, uid=1001) as s:
        for port in (1023, 2049, 600):
            assert anon.set(PROG, 1, UDP, port) == 0
            assert tcp.set(PROG, 1, TCP, port) == 0
        assert root.set(PROG, 1, UDP, 1023) == 1
        assert anon.unset(PROG, 1) == 0
        assert root.set(PROG + 1, 1, TCP, 2049) == 1
        assert tcp.unset(PROG + 1, 1) == 0
        assert root.unset(PROG, 1) == root.unset(PROG + 1, 1) == 1
        # an entry without owner is not a local user's
        assert anon.set(PROG, 1, UDP, s.getsockname()[1]) == 1
        with host.local(1001) as c:
            assert c.unset(PROG, 1) == 0
            assert tcp.unset(PROG, 1) == 0


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


@pytest.mark.parametrize("limit", [None, "", "no number\n"])
def test_no_port_is_privileged_while_the_limit_is_unknown(host, start, limit):
    """As in a chroot without /proc: any user might bind a port below 1024."""
    sysctls = "/proc/sys/net/ipv4"
    if limit is None:
        host.run(["mount", "-t", "tmpfs", "tmpfs", sysctls])
    else:
        host.path("/run/limit").write_text(limit)
        host.run(["mount", "--bind", "/run/limit",
                  f"{sysctls}/ip_unprivileged_port_start"])
    daemon = start(host)
    daemon.expect("refused proc=(set|unset) .*reason=(reserved|owner)",
                  "cannot read net.ipv4.ip_unprivileged_port_start: ")
    with host.local() as root:
        assert root.set(100003, 3, UDP, 2049) == 1
        for origin in (host.udp, host.tcp):
            with origin(sport=777) as c:
                assert c.set(100003, 4, TCP, 2049) == 0
                assert c.unset(100003, 3) == 0
        assert root.dump()[2:] == [(100003, 3, UDP, 2049)]


@pytest.mark.parametrize("port", [662, 2049])
@pytest.mark.parametrize("kind,prot", [(DGRAM, UDP), (STREAM, TCP)])
def test_a_reserved_port_for_who_is_bound_to_it(host, refusing, kind, prot,
                                                port):
    with host.local(1001) as c:
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
                with host.bound(kind, uid=uid) as s:
                    old = s.getsockname()[1]
                    assert c.set(PROG, 1, prot, old) == 1
                    assert c.set(PROG, 1, prot, old - 1) == 0
                    assert c.getport(PROG, 1, prot) == old
                # a user who binds the port of a crashed server locks nobody out
                with host.bound(kind, old, uid=1003):
                    assert c.set(PROG, 1, prot, old - 2) == 1
                    assert c.set(PROG, 1, prot, old) == 1
                assert c.set(PROG, 1, prot, old - 1) == 1
                assert c.getport(PROG, 1, prot) == old - 1
                assert c.unset(PROG, 1) == 1


def test_a_server_of_root_that_does_not_listen_yet(host, refusing):
    """As those in Python: it binds, registers, and then listens.  Kernels before
    6.8 do not tell."""
    release = tuple(map(int, re.match(r"(\d+)\.(\d+)",
                                      os.uname().release).groups()))
    with host.socket(socket.AF_INET, STREAM, bind=("0.0.0.0", 0)) as s, \
            host.tcp() as c, host.socket(
                socket.AF_INET, STREAM, bind=("0.0.0.0", 0), uid=1001) as other:
        assert c.set(PROG, 1, TCP, s.getsockname()[1]) == (release >= (6, 8))
        assert c.set(PROG, 2, TCP, other.getsockname()[1]) == 0


@pytest.mark.parametrize("uid", [0, 1001])
def test_a_server_at_the_name_of_this_host(host, daemon, uid):
    """127.0.1.1 on Debian, which is no address of an interface."""
    with host.bound(DGRAM, addr="127.0.1.1", uid=uid) as s, \
            host.udp("127.0.1.1", uid=uid) as c:
        assert c.set(PROG, 1, UDP, s.getsockname()[1]) == 1


@pytest.mark.parametrize("addr,v6only", [
    ("::", 0), ("::", 1), ("::1", 0), ("::1", 1), ("::ffff:127.0.0.1", 0)])
@pytest.mark.parametrize("kind,prot", [(DGRAM, UDP), (STREAM, TCP)])
def test_sockets_of_ipv6_count(host, refusing, kind, prot, addr, v6only):
    with host.net():
        s = socket.socket(socket.AF_INET6, kind)
    with s, host.local() as c:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        s.bind((addr, 0))
        if kind == STREAM:
            s.listen()
        assert c.set(PROG, 1, prot, s.getsockname()[1]) == 1
        assert c.set(PROG, 1, prot, 5000) == 0


@pytest.mark.parametrize("uid", [0, 250, 1002])
@pytest.mark.parametrize("kind,prot", [(DGRAM, UDP), (STREAM, TCP)])
@pytest.mark.parametrize("addr", ["127.0.0.53", "198.51.100.9"])
def test_a_server_at_an_unusual_address(host, refusing, addr, kind, prot, uid):
    """Of lo, or of no interface, as after a failover."""
    with host.socket(socket.AF_INET, kind, uid=uid) as s, \
            host.local(uid) as owner, host.local(1001) as thief:
        s.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
        s.bind((addr, 0))
        if kind == STREAM:
            s.listen()
        port = s.getsockname()[1]
        assert owner.set(PROG, 1, prot, port) == 1
        assert thief.set(PROG, 1, prot, 6000) == 0
        assert thief.set(PROG, 2, TCP + UDP - prot, 6000) == 0
        assert thief.unset(PROG, 1) == 0
        # nor does a second instance of the server displace it
        assert owner.set(PROG, 1, prot, 6000) == 0
        sweep(refusing, entries=3)
        assert owner.getport(PROG, 1, prot) == port
    refusing.expect_line("refused .* uid=1001 .*reason=program")


def test_who_shares_the_port_of_a_server(host, refusing):
    """Its packets go to the socket that was bound last."""
    with host.socket(socket.AF_INET, DGRAM, uid=1002) as s, \
            host.socket(socket.AF_INET, DGRAM, uid=1001) as t, \
            host.local(1002) as owner, host.local(1001) as thief:
        for x in (s, t):
            x.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            x.bind(("0.0.0.0", 5353))
        assert owner.set(PROG, 1, UDP, 5353) == 1
        assert thief.set(PROG, 1, UDP, 6000) == 0
        assert thief.set(PROG, 2, TCP, 6000) == 0
    refusing.expect_line("refused .* uid=1001 .*reason=program")


@pytest.mark.parametrize("server", [0, 250])
def test_an_entry_without_an_owner_is_not_of_a_neighbour(host, refusing,
                                                         server):
    """Who holds the same port of another address of lo."""
    for kind, prot in ((DGRAM, UDP), (STREAM, TCP)):
        with host.bound(kind, addr="127.0.1.1", uid=server) as s, \
                host.udp(uid=server) as c:
            port = s.getsockname()[1]
            assert c.set(PROG, 1, prot, port) == 1
            with host.bound(kind, port, "127.0.0.1", uid=1001), \
                    host.udp(uid=1001) as thief:
                assert thief.set(PROG, 7, prot, port) == 0
                assert thief.unset(PROG, 1) == 0
            assert c.unset(PROG, 1) == 1
    refusing.expect_line("refused proc=set .*reason=program")


def test_a_stale_entry_belongs_to_nobody(host, refusing):
    refusing.expect("replaced prog=300200 .*owner=1001 new_port=5001 new_owner=1002",
                    "replaced prog=300200 .*owner=0 new_port=5002 new_owner=1003")
    with host.local() as root, host.local(1001) as a, host.local(1002) as b, \
            host.local(1003) as c:
        assert a.set(PROG, 1, UDP, 5000) == 1
        assert b.set(PROG, 1, UDP, 5001) == 1
        assert a.unset(PROG, 1) == 0
        assert b.unset(PROG, 1) == 1
        # of root's either
        assert root.set(PROG, 1, UDP, 5000) == 1
        assert c.set(PROG, 1, UDP, 5002) == 1


def test_identical_set_by_another_user(host, refusing):
    """It is granted once no socket of the owner or of root is on the port."""
    refusing.expect("replaced ")
    with host.local(1001) as a, host.local(1002) as b:
        for holder, granted in ((1001, 0), (0, 0), (1003, 1), (1002, 1)):
            with host.bound(DGRAM, uid=holder) as s:
                port = s.getsockname()[1]
                assert a.set(PROG, 1, UDP, port) == 1
                assert a.set(PROG, 1, UDP, port) == 1
                assert b.set(PROG, 1, UDP, port) == granted
                assert b.unset(PROG, 1) == granted
                assert a.unset(PROG, 1) == 1
    refusing.expect_line("refused .*reason=program")


def test_root_takes_over_a_program(host, refusing):
    """Every version and protocol of it that users squat on."""
    with host.local() as root, host.local(NOBODY) as c, \
            host.bound(DGRAM, uid=NOBODY) as s:
        port = s.getsockname()[1]
        assert c.set(PROG, 1, UDP, port) == 1
        assert c.set(PROG, 9, UDP, port) == 1
        assert c.set(PROG, 1, TCP, port) == 1
        assert root.set(PROG, 1, UDP, 4000) == 1
        assert root.dump()[2:] == [(PROG, 1, UDP, 4000)]
        assert c.unset(PROG, 1) == 0
    for vers, prot in ((1, 17), (9, 17), (1, 6)):
        refusing.expect_line(f"replaced prog={PROG} vers={vers} prot={prot} "
                             f"port={port} owner={NOBODY} new_port=4000 "
                             "new_owner=0")


@pytest.mark.slow
def test_quotas(host, refusing):
    with host.local() as root:
        with host.local(1001) as c:
            replies = [c.set(PROG + i, 1, UDP, 5000) for i in range(257)]
            assert replies == [1] * 256 + [0]
            assert c.unset(PROG, 1) == 1
            assert c.set(PROG + 256, 1, UDP, 5000) == 1
        for uid in (1002, 1003):
            with host.local(uid) as c:
                assert all(c.set(PROG + uid * 1000 + i, 1, UDP, 5000)
                           for i in range(256))
        # anonymous callers are one user, whatever sockets they have
        with host.udp(uid=1005) as one, host.udp(uid=1006) as two, \
                host.bound(DGRAM, uid=1005) as s, \
                host.bound(DGRAM, uid=1006) as t:
            replies = [c.set(PROG - 1 - i, 1, UDP, x.getsockname()[1])
                       for i, (c, x) in enumerate([(one, s), (two, t)] * 129)]
            assert replies == [1] * 256 + [0] * 2
        with host.local(1004) as c:
            assert c.set(1, 1, UDP, 5000) == 0
        # system accounts have their own: rpc.statd is not locked out
        for uid in (102, 103, 104, 105):
            with host.local(uid) as c:
                assert all(c.set(PROG + uid * 10000 + i, 1, UDP, 5000)
                           for i in range(256))
        with host.local(106) as c:
            assert c.set(100024, 1, UDP, 5000) == 0
        replies = [root.set(10_000_000 + i, 1, TCP, 5000)
                   for i in range(16384 - 2048 + 1)]
        assert replies == [1] * (16384 - 2048) + [0]
        assert len(root.dump()) == 16384 + 2
        assert root.unset(10_000_000, 1) == 1
        assert root.set(10_000_000 + 20000, 1, TCP, 5000) == 1
    refusing.expect_line("refused .*reason=quota")


def test_a_neighbour_that_forges_the_loopback_address(linked, start):
    """With route_localnet, as kube-proxy sets it, the other end of a wire can
    reach 127.0.0.1, from 127.0.0.1: the interface tells."""
    a, b = linked
    daemon = start(a)
    daemon.expect("refused ")
    reach_loopback(a, b)

    # a plain one first: the packets really arrive, from the network
    for origin in (b.udp, b.tcp):
        with origin("127.0.0.1", sport=760) as c:
            reply = c.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000))
            assert (reply.kind, reply.stat) == ("auth_error", rpc.TOOWEAK)
    daemon.expect_line("refused proc=set from=192.168.77.2:760 .*reason=origin")

    # then with a forged source, from a raw socket: UDP needs no reply
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
    daemon.expect_line("refused proc=set from=127.0.0.1:760 .*reason=origin")
    assert entries(a) == []


def test_an_address_that_a_does_not_let_in(make_host, start):
    a, b, c = make_host(), make_host(), make_host()
    connect_hosts(a, b, "192.168.77", ("veth0", "veth0"))
    connect_hosts(a, c, "192.168.78", ("veth1", "veth0"))
    daemon = start(a, "-a", "192.168.77.0/24", "-a", "10.0.0.0/8")
    daemon.expect("denied from=192.168.78.2:")  # over TCP
    with b.udp("192.168.77.1") as udp, b.tcp("192.168.77.1") as tcp:
        assert udp.getport(rpc.PMAP, 2, UDP) == 111
        assert tcp.getport(rpc.PMAP, 2, UDP) == 111
    # it may be reset before connect() has returned
    with contextlib.suppress(ConnectionResetError), \
            c.tcp("192.168.78.1") as tcp:
        assert tcp.closed(rpc.record(rpc.call(0)))
    with c.udp("192.168.78.1") as udp:
        udp.send(rpc.call(0))
        # own addresses always may; this reply comes after the other's time
        with a.udp("192.168.78.1") as own, a.tcp("192.168.77.1") as own2:
            own.null()
            own2.null()
        udp.sock.settimeout(0.2)
        with pytest.raises(socket.timeout):
            udp.receive()
        daemon.expect_line("denied from=192.168.78.2:"
                           f"{udp.sock.getsockname()[1]} via=network$")
    assert daemon.counters()["acl_denied"] == 2


@pytest.mark.parametrize("options, lines", [((), 5), (("-v",), 12)])
def test_the_log_of_callers_who_are_denied(linked, start, options, lines):
    """Five a second, or each with -v."""
    a, b = linked
    daemon = start(a, "-a", "192.0.2.0/24", *options)
    daemon.expect("call ", "suppressed event=denied via=network lines=7$")
    with b.udp("192.168.77.1") as c:
        for _ in range(12):
            c.send(rpc.call(0))
        daemon.expect_line("denied from=192.168.77.2:")
        until(lambda: daemon.counters()["acl_denied"] == 12)
    assert sum("denied from=" in line for line in daemon.lines()) == lines
