# SPDX-License-Identifier: BSD-2-Clause
"""Our rpcinfo next to Debian's: the same output and the same exit codes."""
import contextlib
import socket
import subprocess
import time

import pytest

import rpc
from lab import BUILD, INTEROP, need_program, until
from rpc import TCP, UDP

PROG, DEAD = 300600, 300601
ADDR = "192.168.77.1"
OURS, THEIRS = str(BUILD / "rpcinfo"), "rpcinfo"

# with the address of the host in the place of @; those of a list that only
# version 2 gives are compared with portmap only
BOTH = """-p @
    -u @ portmapper 2
    -t @ 100000 2
    -t @ 100000 9
    -u @ 0100000 02
    -u @ {dead}
    -u @ {dead} 1
    -t @ {dead}
    -u @ {prog}
    -t @ {prog}
    -t @ {prog} 1
    -t @ {prog} 7
    -u @ 300777
    -t @ 300777 1
    -u @ nosuchprogram
    -t @ {prog} x
    -T udp @ {prog}
    -T tcp @ {prog} 1
    -a @.0.111 -T udp 100000 2
    -a @.0.111 -T tcp 100000 2
    -a @.0.1 -T tcp 100000 2"""
LISTS = ["@", "-s @", "-u @ portmapper", "-a @.0.111 -T tcp 100000"]


@pytest.fixture(params=["portmap", "rpcbind"])
def pair(request, linked, start):
    """Two hosts; a port mapper and a server run on the first."""
    a, b = linked
    if request.param == "portmap":
        start(a)
        mapper = None
    else:
        a.prepare_rpcbind()
        mapper = a.popen(["rpcbind", "-f"], stdin=subprocess.DEVNULL)
        until(lambda: a.run([THEIRS, "-p"], check=False)[0] == 0)
    with a.popen([INTEROP / "server", "svc_register", str(PROG), "1"],
                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        with a.root_udp() as c:  # of a server that has ended
            for prot in UDP, TCP:
                assert c.set(DEAD, 1, prot, 9999) == 1
        yield request.param, a, b
        server.stdin.close()
    if mapper:
        mapper.terminate()
        mapper.wait(10)


def words(line):
    return line.format(prog=PROG, dead=DEAD).replace("@", ADDR).split()


def run(host, program, args):
    """The exit code and standard output."""
    with host.popen([program, *args], stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True) as p:
        out, error = p.communicate(timeout=60)
    assert p.returncode == 0 or error
    return p.returncode, out


def test_the_same_output(pair):
    mapper, a, b = pair
    lines = [line.strip() for line in BOTH.splitlines()]
    for line in lines + (LISTS if mapper == "portmap" else []):
        args = words(line)
        assert run(b, OURS, args) == run(b, THEIRS, args), line
    if mapper == "portmap":
        for args in ([], ["-p"], ["-s"]):
            assert run(a, OURS, args) == run(a, THEIRS, args), args


def test_wide_lists(host, daemon):
    with host.local() as c:
        for i in range(12):
            c.set(PROG + i % 2, i, (TCP, UDP)[i % 2], 60000 + i)
        for entry in ((100003, 3, TCP, 2049), (100005, 1, UDP, 9),
                      (0x7fffffff, 0x7fffffff, TCP, 1)):
            assert c.set(*entry) == 1
    for args in ([], ["-p"], ["-s"], ["127.0.0.1"]):
        assert run(host, OURS, args) == run(host, THEIRS, args), args


def test_a_port_instead_of_the_port_mapper(host, daemon):
    """Debian's takes -n, and asks the port mapper nevertheless."""
    assert run(host, OURS, ["-n", "111", "-t", "127.0.0.1", "100000", "2"]) == \
        (0, "program 100000 version 2 ready and waiting\n")
    assert run(host, OURS, ["-n", "1", "-t", "127.0.0.1", "100000", "2"]) == \
        (1, "")


def test_removal(host, daemon):
    with host.local() as c:
        for args, left in (([], []), (["-T", "udp"], [TCP]),
                           (["-T", "tcp6"], [TCP, UDP])):
            for prot in (TCP, UDP):
                assert c.set(PROG, 3, prot, 5000) == 1
            assert run(host, OURS, ["-d", *args, str(PROG), "3"]) == (0, "")
            assert [e[2] for e in c.dump()[2:]] == left
    assert run(host, OURS, ["-d", "-T", "x", str(PROG), "3"])[0] == 1
    daemon.expect("refused ")
    assert run(host, OURS, ["-d", "100000", "2"])[0] == 1


@pytest.mark.slow
def test_broadcast(linked, start):
    need_program(THEIRS)
    a, b = linked
    start(a, "-c", "link")
    with a.popen([INTEROP / "server", "svc_register", str(PROG), "1"],
                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        # it would listen for 12 seconds; ours prints each line at once
        seen = [set(b.run([*program, "-b", str(PROG), "1"],
                          check=False)[1].splitlines())
                for program in (["timeout", "1", OURS],
                                ["stdbuf", "-oL", "timeout", "1", THEIRS])]
        assert seen[0] == seen[1] and len(seen[0]) == 1, seen
        server.stdin.close()


def test_empty(host):
    """No port mapper, an empty list, and wrong use."""
    for args in ([], ["-p"], ["-p", "127.0.0.1"], ["-s", "127.0.0.1"],
                 ["-u", "127.0.0.1", str(PROG)], ["-t", "127.0.0.1", "1", "1"],
                 ["-m"], ["-l", "127.0.0.1", "1", "1"], ["-x"], ["-p", "-s"],
                 ["-u"], ["-b", "1"], ["-T", "tcp6", "127.0.0.1", "1"],
                 ["-a", "1.2.3.4", "-T", "tcp", "1"], ["-p", "a", "b"],
                 ["-n", "0", "-t", "127.0.0.1", "1"],
                 ["-p", "host.invalid"]):
        assert run(host, OURS, args) == (1, ""), args
        code, out = host.run([OURS, *args], check=False)
        assert "rpcinfo" in out or "RPC: " in out
    assert run(host, OURS, ["--help"])[0] == 0


@contextlib.contextmanager
def asked(host, mode):
    """Our rpcinfo asks a port mapper of our own: the process, the connection,
    and the beginning of a reply."""
    with host.bound(socket.SOCK_STREAM, 111) as listener, host.popen(
            [OURS, mode, "127.0.0.1"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True) as p:
        listener.settimeout(5)
        with listener.accept()[0] as s:
            xid = s.recv(1000)[4:8]
            yield p, s, xid + rpc.words(1, 0, 0, 0, 0)


def test_a_list_without_end(host):
    """What a hostile port mapper sends fills no memory."""
    more = rpc.words(1, PROG, 1, UDP, 5000) * 1000
    with asked(host, "-p") as (p, s, head):
        s.sendall(rpc.words(0x7fffffff) + head)
        with pytest.raises(OSError):
            for _ in range(1000):
                s.sendall(more)
        assert p.communicate(timeout=10)[0] == \
            "rpcinfo: 127.0.0.1: RPC: Can't decode result\n"
        assert p.returncode == 1


@pytest.mark.slow
def test_a_list_that_drips(host):
    """libtirpc's timeout begins again with each byte."""
    with asked(host, "-p") as (p, s, head):
        s.sendall(rpc.words(0x80001000) + head)
        with pytest.raises(OSError):
            for byte in rpc.words(1, PROG, 1, UDP, 5000) * 5:
                s.sendall(bytes([byte]))
                time.sleep(0.5)
        assert p.communicate(timeout=10)[0] == "rpcinfo: the reply has no end\n"
        assert p.returncode == 1


def test_a_summary_of_many(host):
    """The cost grows with the list, and not with its square."""
    entries = b"".join(rpc.words(1, PROG + i % 30000, 1 + i // 30000, UDP, 5000)
                       for i in range(60000)) + rpc.words(0)
    with asked(host, "-s") as (p, s, head):
        s.sendall(rpc.words(0x80000000 | len(head + entries)) + head + entries)
        lines = p.communicate(timeout=10)[0].splitlines()[1:]
    assert [line.split()[:3] for line in lines] == \
        [[str(PROG + i), "2,1", "udp"] for i in range(30000)]


def test_a_server_of_too_many_versions(host, daemon):
    with host.bound(socket.SOCK_DGRAM) as s, host.local() as c:
        c.set(PROG, 1, UDP, s.getsockname()[1])
        s.settimeout(5)
        with host.popen([OURS, "-u", "127.0.0.1", str(PROG)],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                        text=True) as p:
            request, source = s.recvfrom(1000)
            s.sendto(request[:4] + rpc.words(1, 0, 0, 0, 2, 1, 257), source)
            assert p.communicate(timeout=10)[0] == \
                f"rpcinfo: {PROG} has versions 1 to 257: name one\n"
            assert p.returncode == 1


def test_a_server_of_every_version(host, daemon):
    """It replies to versions that nobody has."""
    with host.bound(2) as s, host.local() as c:
        port = s.getsockname()[1]
        c.set(PROG, 1, UDP, port)
        s.settimeout(5)
        with host.popen([OURS, "-u", "127.0.0.1", str(PROG)],
                        stdout=subprocess.PIPE, text=True) as p:
            for _ in range(3):
                request, source = s.recvfrom(1000)
                s.sendto(request[:4] + rpc.words(1, 0, 0, 0, 0), source)
            assert p.communicate(timeout=10)[0] == \
                f"program {PROG} version 0 ready and waiting\n"
            assert p.returncode == 0
