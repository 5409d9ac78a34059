# SPDX-License-Identifier: BSD-2-Clause
"""Software as Debian ships it, unmodified."""
import re
import signal
import subprocess

import pytest

import rpc
from lab import BUILD, NOBODY, ROOT, until
from rpc import TCP, UDP

PROG = 0x20000099
SERVER = str(ROOT / "build/interop/server")
FIND = str(ROOT / "build/interop/find")


@pytest.fixture
def server(host, daemon):
    """A server on libtirpc; server(how) registers by that function."""
    running = []

    def begin(how, **kw):
        p = host.popen([host.copy(SERVER), how, hex(PROG), "3"], stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, text=True, **kw)
        running.append(p)
        line = p.stdout.readline()
        assert line.startswith("ready"), line
        return p
    yield begin
    for p in running:
        p.stdin.close()
        p.wait(10)
        p.stdout.close()


RPCINFO = {
    "-p": r"100000 +2 +tcp +111 +portmapper",
    "-p 127.0.0.1": r"100000 +2 +udp +111 +portmapper",
    "": r"100000 +2 +tcp +0.0.0.0.0.111 +portmapper",
    "127.0.0.1": r"100000 +2 +udp +0.0.0.0.0.111 +portmapper",
    "-s": r"100000 +2 +udp,tcp +portmapper",
    "-s 127.0.0.1": r"100000 +2 +udp,tcp +portmapper",
    "-u 127.0.0.1 100000": r"program 100000 version 2 ready and waiting",
    "-u 127.0.0.1 portmapper 2": r"version 2 ready and waiting",
    "-t 127.0.0.1 100000": r"program 100000 version 2 ready and waiting",
    "-t 127.0.0.1 100000 2": r"version 2 ready and waiting",
    "-T udp 127.0.0.1 100000": r"version 2 ready and waiting",
    "-T tcp 127.0.0.1 100000 2": r"version 2 ready and waiting",
}


@pytest.mark.parametrize("args", RPCINFO)
def test_rpcinfo(host, daemon, args):
    assert re.search(RPCINFO[args], host.run(["rpcinfo", *args.split()]))


def test_rpcinfo_of_a_server(host, server):
    server("pmap_set")
    for args in ("-u 127.0.0.1 %d", "-t 127.0.0.1 %d", "-u 127.0.0.1 %d 3",
                 "-T tcp 127.0.0.1 %d 3"):
        assert "version 3 ready and waiting" in \
            host.run(["rpcinfo", *(args % PROG).split()])
    assert re.search(rf"{PROG} +3 +(udp,tcp|tcp,udp)", host.run(["rpcinfo", "-s"]))


def test_rpcinfo_d(host, daemon):
    with host.local() as c:
        c.set(PROG, 3, UDP, 5000)
        c.set(PROG, 3, TCP, 5000)
        host.run(["rpcinfo", "-d", str(PROG), "3"])
        assert c.dump() == rpc.OWN
        c.set(PROG, 3, UDP, 5000)
        c.set(PROG, 3, TCP, 5000)
        host.run(["rpcinfo", "-T", "udp", "-d", str(PROG), "3"])
        assert c.dump()[2:] == [(PROG, 3, TCP, 5000)]


@pytest.mark.parametrize("how", ["pmap_set", "svc_register", "svc_reg",
                                 "rpcb_set", "svc_create"])
def test_a_libtirpc_server_and_its_client(linked, start, how):
    a, b = linked
    start(a)
    with a.popen([SERVER, how, hex(PROG), "3"], stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline().startswith("ready")
        with a.local() as c:
            assert sorted(e[2] for e in c.dump()[2:]) == [TCP, UDP]
        for proto in ("udp", "tcp"):
            out = b.run([FIND, "192.168.77.1", hex(PROG), "3", proto])
            assert out == f"reply 42 by {proto}\n"
        p.stdin.close()
        assert p.wait(10) == 0
    with a.local() as c:
        assert c.dump() == rpc.OWN, "it has unregistered"


def test_a_server_of_an_ordinary_user(host, server):
    server("pmap_set", uid=NOBODY)
    assert f"{PROG}" in host.run(["rpcinfo", "-p"])


@pytest.mark.parametrize("args", [[], ["-p", "662"]])
def test_rpc_statd(host, daemon, args):
    # it becomes the owner of its state directory, and registers as that
    host.prepare_statd()
    p = host.popen(["rpc.statd", "-F", "-P", "/run/statd", *args],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def listed():
            assert p.poll() is None, "rpc.statd has given up"
            with host.local() as c:
                return sorted(e[2:] for e in c.dump() if e[0] == 100024)
        entries = until(lambda: len(listed()) == 2 and listed())
        if args:
            assert entries == [(TCP, 662), (UDP, 662)]
        assert " status" in host.run(["rpcinfo", "-p"])
    finally:
        p.terminate()
        p.wait(10)
