# SPDX-License-Identifier: BSD-2-Clause
"""Software as Debian ships it, unmodified: on libtirpc (rpcinfo, rpc.statd, and
servers and clients of our own), and with an RPC library of its own (lxi-tools,
libnfs, nfs-ganesha)."""
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

import rpc
from lab import INTEROP, NOBODY, ROOT, need_program, need_uid, until
from rpc import TCP, UDP

PROG = 0x20000099
SERVER = str(ROOT / "build/interop/server")
FIND = str(ROOT / "build/interop/find")


@contextlib.contextmanager
def serving(host, how, prog=PROG, vers=3, **kw):
    """A server on libtirpc, which registers by that function, and unregisters
    at the end."""
    with host.popen([host.copy(SERVER), how, hex(prog), str(vers)], text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kw) as p:
        assert p.stdout.readline().startswith("ready")
        yield
        p.stdin.close()
        assert p.wait(10) == 0


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


def test_rpcinfo_of_a_server(host, daemon):
    with serving(host, "pmap_set"):
        for args in ("-u 127.0.0.1 %d", "-t 127.0.0.1 %d", "-u 127.0.0.1 %d 3",
                     "-T tcp 127.0.0.1 %d 3"):
            assert "version 3 ready and waiting" in \
                host.run(["rpcinfo", *(args % PROG).split()])
        assert re.search(rf"{PROG} +3 +(udp,tcp|tcp,udp)",
                         host.run(["rpcinfo", "-s"]))


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
    with serving(a, how):
        with a.local() as c:
            assert sorted(e[2] for e in c.dump()[2:]) == [TCP, UDP]
        for proto in ("udp", "tcp"):
            out = b.run([FIND, "192.168.77.1", hex(PROG), "3", proto])
            assert out == f"reply 42 by {proto}\n"
    with a.local() as c:
        assert c.dump() == rpc.OWN, "it has unregistered"


@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("how", ["pmap_set", "svc_register", "svc_reg",
                                 "rpcb_set", "svc_create"])
def test_a_server_that_does_not_see_the_local_socket(host, daemon, how, uid):
    """As in a chroot: libtirpc asks loopback instead, by version 3 or 4.

    It takes the last connection-oriented transport of netconfig(5), which is
    IPv6 unless the line is not there or the kernel has none.
    """
    need_uid(uid)
    host.own_etc()
    host.run(["sed", "-i", "/^tcp6/d", "/etc/netconfig"])
    program = "/dev/shm/server"
    shutil.copy(SERVER, host.path(program))
    become = f"setpriv --reuid={uid}" if uid else ""
    with host.popen(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /run; "
                     f"exec {become} {program} {how} {PROG} 3"], text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline().startswith("ready")
        with host.local() as c:
            assert sorted(e[2] for e in c.dump()[2:]) == [TCP, UDP]
        p.stdin.close()
        assert p.wait(10) == 0
    with host.local() as c:
        assert c.dump() == rpc.OWN


def test_a_server_of_an_ordinary_user(host, daemon):
    with serving(host, "pmap_set", uid=NOBODY):
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


# program numbers
MOUNTD, NFS, NLOCKMGR, RQUOTA = 100005, 100003, 100021, 100011
VXI11 = 395183
IDENTITY = b"Makers,Stand-in,1,1.0\n"
# the first address is the server's
URL = "nfs://192.168.77.1/x%s?version=3&uid=0&gid=0"

GANESHA = """
NFS_CORE_PARAM { Protocols = 3; Plugins_Dir = %s; %s }
NFSv4 { Graceless = true; }
EXPORT {
    Export_Id = 1; Path = /x; Pseudo = /x; Access_Type = RW; Squash = None;
    SecType = sys; Protocols = 3; Transports = UDP, TCP;
    FSAL { Name = MEM; }
}
"""


def serve_instrument(listener):
    """The four procedures of VXI-11 that identify an instrument."""
    def reply(proc, args):
        data = args[20:20 + rpc.unwords(args[16:20])[0]] if proc == 11 else b""
        return {10: rpc.words(0, 1, 0, 1024),         # create_link
                11: rpc.words(0, len(data)),          # device_write
                12: rpc.words(0, 4) + rpc.opaque(IDENTITY),   # device_read
                23: rpc.words(0)}[proc]               # destroy_link

    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with rpc.Client(connection) as c, contextlib.suppress(EOFError):
                while True:
                    call = c.receive()
                    xid, _, _, prog, _, proc = rpc.unwords(call[:24])
                    assert prog == VXI11
                    # AUTH_NONE: the arguments begin at 40
                    c.send(rpc.words(xid, 1, 0, 0, 0, 0)
                           + reply(proc, call[40:]))


@pytest.fixture
def instrument():
    """instrument(host): begin to serve VXI-11 there, registered by root."""
    listeners = []

    def begin(host):
        listener = host.bound(socket.SOCK_STREAM)
        listener.settimeout(None)
        listeners.append(listener)
        threading.Thread(target=serve_instrument, args=(listener,),
                         daemon=True).start()
        with host.local() as c:
            assert c.set(VXI11, 1, TCP, listener.getsockname()[1])
    yield begin
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.slow
@pytest.mark.parametrize("options, found", [
    ([], True), (["-i", "192.168.77.1"], True), (["-l"], False)])
def test_lxi_discovers_an_instrument(linked, start, instrument, options, found):
    """lxi-tools broadcast a GETPORT, then ask for the port once more over TCP."""
    a, b = linked
    start(a, *options)
    instrument(a)
    out = b.run(["lxi", "discover", "-t", "1"])
    line = f'Found "{IDENTITY.decode().strip()}" on address 192.168.77.1'
    assert (line in out) == found, out
    assert ("No devices found" in out) != found


@pytest.mark.slow
@pytest.mark.parametrize("options, found", [
    ([], False), (["-c", "link"], True)])
def test_libnfs_discovers_a_server(linked, start, options, found):
    """libnfs broadcasts a CALLIT of NULL of mountd 2, which needs -c link."""
    a, b = linked
    start(a, *options)
    with serving(a, "pmap_set", MOUNTD, 2):
        status, out = b.run(["nfs-ls", "-D", "nfs://"], check=False)
    assert ("nfs://192.168.77.1" in out.splitlines()) == found, out
    assert ("Failed to find local servers" in out) != found
    assert (status == 0) == found


@pytest.fixture
def ganesha():
    """ganesha(host): nfs-ganesha with an export in memory, ready."""
    running = []

    def begin(host):
        host.run(["sh", "-ec", "mount -t tmpfs none /var/lib && "
                  "mkdir -p /var/lib/nfs/ganesha /run/ganesha"])
        need_program(INTEROP / "usr/bin/ganesha.nfsd")
        plugins = next((INTEROP / "usr/lib").glob("*/ganesha"))
        library = INTEROP / "usr/lib/ganesha"
        # version 6 otherwise ends without CAP_SYS_RESOURCE
        new = not list(library.glob("libganesha_nfsd.so.4*"))
        host.path("/run/ganesha/conf").write_text(GANESHA % (
            plugins, "allow_set_io_flusher_fail = true;" if new else ""))
        p = host.popen(["env", f"LD_LIBRARY_PATH={library}",
                        INTEROP / "usr/bin/ganesha.nfsd", "-F", "-f",
                        "/run/ganesha/conf", "-p", "/run/ganesha/pid", "-L",
                        "/run/ganesha/log"], stdin=subprocess.DEVNULL)
        running.append(p)

        def ready():
            log = host.path("/run/ganesha/log")
            text = log.read_text() if log.exists() else ""
            assert p.poll() is None, text
            return "NFS SERVER INITIALIZED" in text
        until(ready, 30, "start of nfs-ganesha")
        return p
    yield begin
    for p in running:
        if p.poll() is None:
            p.kill()
        p.wait(10)


def test_nfs_ganesha_and_libnfs(linked, start, ganesha):
    """An NFS server and a client in user space, which share no code with
    libtirpc: the server registers, the client finds it and uses it."""
    a, b = linked
    start(a)

    def entries():
        with a.local() as c:
            return c.dump()[2:]

    server = ganesha(a)
    expected = sorted((prog, vers, proto) for prog, vers in (
        (NFS, 3), (MOUNTD, 1), (MOUNTD, 3), (NLOCKMGR, 4), (RQUOTA, 1),
        (RQUOTA, 2)) for proto in (TCP, UDP))
    assert sorted(e[:3] for e in entries()) == expected
    assert b.run(["showmount", "-e", "--no-headers", "192.168.77.1"]).split() \
        == ["/x", "(everyone)"]
    b.run(["sh", "-c", "echo data >/run/file"])
    assert "copied 5 bytes" in b.run(["nfs-cp", "/run/file", URL % "/file"])
    assert b.run(["nfs-ls", URL % ""]).split()[-2:] == ["5", "file"]

    # the next one replaces what a crash has left behind
    server.kill()
    server.wait(10)
    assert len(entries()) == len(expected)
    for log in a.path("/run/ganesha").glob("log"):
        log.unlink()
    a.run(["umount", "/var/lib"])
    server = ganesha(a)
    assert sorted(e[:3] for e in entries()) == expected
    assert b.run(["nfs-ls", URL % ""]) == ""
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    assert entries() == []
