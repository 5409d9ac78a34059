# SPDX-License-Identifier: BSD-2-Clause
"""portmap and the service manager: readiness, inherited sockets, containers."""
import contextlib
import json
import os
import re
import signal
import socket
import time

import pytest

import rpc
from lab import LINGERING, NOBODY, PORTMAP, ROOT, until
from rpc import TCP, UDP

PROG = 300800
SOCK = "/run/rpcbind.sock"


class Manager:
    """A service manager's end of NOTIFY_SOCKET."""

    def __init__(self, host, name):
        self.name = name
        bind = "\0" + name[1:] if name[0] == "@" else name
        if name[0] == "/":
            # through our own root: the name is at most 108 bytes long
            bind = str(host.path(name))
        self.sock = host.socket(socket.AF_UNIX, socket.SOCK_DGRAM, bind=bind)
        if name[0] == "/":
            os.chmod(bind, 0o777)
        self.kept = []

    def under(self):
        return ["env", f"NOTIFY_SOCKET={self.name}"]

    def hear(self):
        """The next message, but for those that hand over a connection."""
        while True:
            data, fds, _, _ = socket.recv_fds(self.sock, 1000, 1)
            if data != b"FDSTORE=1\nFDNAME=connection":
                return data.decode()
            self.kept += fds

    def hear_kept(self):
        """The next connection that is handed over."""
        while not self.kept:
            data, fds, _, _ = socket.recv_fds(self.sock, 1000, 1)
            assert data == b"FDSTORE=1\nFDNAME=connection"
            self.kept += fds
        return self.kept.pop()


@pytest.mark.parametrize("name", ["/run/notify", "@notify"])
def test_readiness(host, start, name):
    manager = Manager(host, name)
    daemon = start(host, under=manager.under(), ready=False)
    # every origin replies now
    assert manager.hear() == "READY=1"
    for origin in (host.udp, host.tcp, host.local):
        with origin() as c:
            c.null()
    daemon.wait_ready()
    with host.local() as c, host.bound(socket.SOCK_DGRAM) as service:
        port = service.getsockname()[1]
        c.set(PROG, 1, UDP, port)
        daemon.rests()
    daemon.stop()
    assert manager.hear() == "STOPPING=1"


@pytest.mark.slow
def test_a_manager_that_is_not_there(host, start):
    for name, reason in (("/run/nobody", "No such file"), ("nonsense", "Invalid argument"),
                      ("/" + "x" * 200, "Invalid argument"), ("@", "Invalid argument")):
        daemon = start(host, under=["env", f"NOTIFY_SOCKET={name}"])
        daemon.expect_line(f"NOTIFY_SOCKET={name}.*{reason}.*not notified")
        # and that was that, once it waits for calls
        until(lambda: daemon.switches() > 0, what="sleep")
        daemon.rests()
        switches = daemon.switches()
        time.sleep(1.2)
        assert daemon.switches() == switches
        daemon.stop()


def fill_queue(host):
    """Fill the queue of the service manager.  Return the number of messages."""
    count = 0
    with host.net(), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect("\0notify")
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                s.send(b"x")
                count += 1
    return count


@pytest.mark.slow
def test_a_manager_that_is_late(host, start):
    manager = Manager(host, "@notify")
    count = fill_queue(host)
    daemon = start(host, under=manager.under())
    daemon.rests()
    for _ in range(count):
        assert manager.hear() == "x"
    assert manager.hear() == "READY=1"


def test_a_manager_that_does_not_read(host, start):
    manager = Manager(host, "@notify")
    daemon = start(host, under=manager.under())
    fill_queue(host)
    with host.local() as c:
        for i in range(10):
            assert c.set(PROG + i, 1, UDP, 5000) == 1
        assert len(c.dump()) == 12
    daemon.stop()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_connections_of_root_outlive_a_restart(host, start, end):
    """The kernel keeps one for nfsd and lockd, and needs it to send UNSET."""
    manager = Manager(host, "@notify")
    daemon = start(host, under=manager.under())
    assert manager.hear() == "READY=1"
    with host.bound(socket.SOCK_DGRAM) as service, host.local() as root, \
            host.local(NOBODY) as user:
        port = service.getsockname()[1]
        assert root.set(PROG, 1, UDP, port) == 1
        user.null()
        getattr(daemon, end)()
        assert user.closed()
        kept = manager.hear_kept()
        # asked while nobody is there
        root.send(rpc.call(rpc.UNSET, rpc.mapping(PROG, 1, 0, 0), xid=7))
        daemon = start(host, under=under(f"kept,{kept},"),
                       pass_fds=[kept])
        assert root.reply().raw == rpc.words(7, 1, 0, 0, 0, 0, 1)
        # it is still the connection of root
        assert root.set(PROG, 1, UDP, port) == 1
        with host.local(NOBODY) as c:
            daemon.expect("refused ")
            assert c.unset(PROG, 1) == 0
        # and it can be closed, in spite of the copy
        assert root.closed(rpc.words(0x80000001) + b"x")
    os.close(kept)


def test_a_kept_connection_whose_client_is_gone(host, start):
    a, b = socket.socketpair()
    a.close()
    daemon = start(host, under=under(f"kept,{b.fileno()},"),
                   pass_fds=[b.fileno()])
    b.close()
    with host.udp() as c:
        c.null()
    daemon.rests()


# sockets that init has opened

LAUNCHER = """
import os, socket, sys
n = sys.argv.index("--")
for i, spec in enumerate(sys.argv[1:n]):
    what, addr, port = spec.split(",")
    if what == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.bind(addr.replace("@", chr(0)))
    elif what == "seqpacket":
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.bind(addr)
        s.listen()
    elif what == "kept":
        s = socket.socket(fileno=int(addr))
    elif what == "file":
        s = open(addr)
    else:
        s = socket.socket(socket.AF_INET6 if "6" in what else socket.AF_INET,
                          socket.SOCK_DGRAM if "udp" in what
                          else socket.SOCK_STREAM)
        # as systemd does for either
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if what == "udp6":
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((addr, int(port)))
    if what in ("unix", "tcp", "tcp6"):
        s.listen()
    os.dup2(s.fileno(), 600 + i)
for i in range(n - 1):
    os.dup2(600 + i, 3 + i)
    os.close(600 + i)
early = os.environ.pop("EARLY", None)
if early:
    r, w = os.pipe()
    if os.fork() == 0:
        exec(early)
        os._exit(0)
    os.read(r, 1)
    os.close(r)
    os.close(w)
os.environ.update(LISTEN_FDS=str(n - 1), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[n + 1], sys.argv[n + 1:])
"""
TCP111, UDP111 = "tcp,0.0.0.0,111", "udp,0.0.0.0,111"
PATH, ABSTRACT = f"unix,{SOCK},", f"unix,@{SOCK},"


def under(*specs, early=None):
    """`early` is what a client does before portmap is there; it writes to w
    when portmap may come."""
    return [*(["env", f"EARLY={early}"] if early else ()),
            "/usr/bin/python3", "-c", LAUNCHER, *specs, "--"]


@pytest.mark.parametrize("specs", [
    (TCP111, UDP111, PATH, ABSTRACT), (ABSTRACT, PATH, UDP111, TCP111),
    (TCP111,), (UDP111,), (PATH,), (ABSTRACT,), (PATH, UDP111), ()],
    ids=lambda specs: "+".join(s.split(",")[0] for s in specs) or "none")
def test_sockets_that_init_has_opened(linked, start, specs):
    """They are used, and what is not among them is opened."""
    a, b = linked
    daemon = start(a, under=under(*specs))
    out = a.run(["ss", "-Hlnx", "-A", "tcp,udp,unix_stream"])
    assert len(re.findall(r"0\.0\.0\.0:111\b|rpcbind\.sock", out)) == 4, out
    for origin in (a.udp, a.tcp, lambda: b.udp("192.168.77.1"),
                 lambda: b.tcp("192.168.77.1")):
        with origin() as c:
            c.null()
    for name in (SOCK, "\0" + SOCK):
        script = (f"import socket; s = socket.socket(socket.AF_UNIX); "
                  f"s.connect({name!r})")
        a.run(["/usr/bin/python3", "-c", script])
    # portmap tells the origins apart, so it has set the socket options
    daemon.expect("refused ")
    with b.udp("192.168.77.1") as c, b.tcp("192.168.77.1") as d, \
            a.root_udp() as e, a.local() as f:
        for far in (c, d):
            assert far.call(rpc.SET, rpc.mapping(PROG, 1, UDP, 5000)).kind == \
                "auth_error"
        assert e.set(PROG, 1, UDP, 5000) == 1
        assert f.set(PROG, 1, TCP, 5000) == 1
    # and no other program can share the port
    with a.net(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError):
            s.bind(("0.0.0.0", 111))


EARLY = """
import json
calls, socks = json.loads('%s'), {}
for name, family, kind, to in (
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 111)),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 111)),
        ("get", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 111)),
        ("local", socket.AF_UNIX, socket.SOCK_STREAM, "%s")):
    s = socks[name] = socket.socket(family, kind)
    s.settimeout(10)
    if name in ("tcp", "udp"):  # as root
        s.bind(("127.0.0.1", 801))
    s.connect(to)
    s.send(bytes.fromhex(calls[name]))
os.write(w, b"x")
out = {name: s.recv(1000).hex() for name, s in socks.items() if name != "udp"}
socks["udp"].settimeout(0.2)
for _ in range(40):
    try:
        out["udp"] = socks["udp"].recv(1000).hex()
        break
    except TimeoutError:
        socks["udp"].send(bytes.fromhex(calls["udp"]))
open("/run/replies.new", "w").write(json.dumps(out))
os.rename("/run/replies.new", "/run/replies")
"""


def test_who_was_there_before_us(host, start):
    """Inherited sockets have origins, too: a SET from loopback is not one from
    the network.  Over UDP it may be lost, and is then sent again."""
    calls = {"get": rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0),
                             xid=7)}
    calls |= {name: rpc.call(rpc.SET, rpc.mapping(PROG + i, 1, UDP, 5000), xid=7)
             for i, name in enumerate(("tcp", "udp", "local"))}
    for name in ("tcp", "local"):
        calls[name] = rpc.record(calls[name])
    start(host, under=under(TCP111, UDP111, PATH, early=EARLY % (
        json.dumps({k: v.hex() for k, v in calls.items()}), SOCK)))
    replies = host.path("/run/replies")
    until(replies.exists)
    said = json.loads(replies.read_text())
    granted = rpc.words(7, 1, 0, 0, 0, 0, 1).hex()
    assert said == {"get": rpc.words(7, 1, 0, 0, 0, 0, 111).hex(),
                    "udp": granted, "tcp": rpc.words(0x8000001c).hex() + granted,
                    "local": rpc.words(0x8000001c).hex() + granted}


@pytest.mark.needs("several users")
def test_descriptors_from_before_us(host, start):
    """They linger, and the kernel was not asked to refuse them in time."""
    early = f"""
os.chmod("{SOCK}", 0o666)
os.setgroups([])
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
""" + LINGERING + """
socket.send_fds(u, [b"x"], [fd])
os.close(fd)
os.write(w, b"x")
l.accept()
"""
    start(host, under=under(PATH, early=early))
    # a call would fail, which waits for less time than the socket lingers
    for _ in range(20):
        with host.udp() as c:
            c.null()


def test_only_the_addresses_that_init_has_chosen(linked, start):
    a, b = linked
    start(a, under=under("tcp,127.0.0.1,111", "udp,127.0.0.1,111"))
    for origin in (a.udp, a.tcp):
        with origin() as c:
            c.null()
    with pytest.raises(OSError):
        b.tcp("192.168.77.1")


@pytest.mark.needs("CAP_NET_ADMIN of the machine")
def test_buffers_that_init_has_set(host, start):
    """Without CAP_NET_ADMIN portmap could only reduce them."""
    buffers = {socket.SO_SNDBUF: (32, 104 << 20),
               socket.SO_RCVBUF: (33, 4 << 20)}
    with host.socket(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 111)) as s:
        for force, size in buffers.values():
            s.setsockopt(socket.SOL_SOCKET, force, size)
        start(host, under=[*under(f"kept,{s.fileno()},"), "/usr/bin/setpriv",
                           "--bounding-set=-net_admin"], pass_fds=[s.fileno()])
        for name, (_, size) in buffers.items():
            assert s.getsockopt(socket.SOL_SOCKET, name) == 2 * size


def test_more_sockets_than_addresses(host, start):
    """Of eight addresses, and all that systemd keeps: as many connections as
    root can have open, or the kernel's may be the one too many."""
    unit = (ROOT / "src" / "init" / "portmap.service").read_text()
    kept = int(re.search(r"^FileDescriptorStoreMax=(\d+)$", unit, re.M)[1])
    pairs = [socket.socketpair() for _ in range(kept)]
    fds = [b.fileno() for _, b in pairs]
    daemon = start(host, under=under(
        PATH, ABSTRACT, *(f"kept,{fd}," for fd in fds),
        *(f"{kind},127.0.0.{n},111" for n in range(1, 9)
          for kind in ("tcp", "udp"))), pass_fds=fds)
    with host.udp() as c, host.tcp("127.0.0.8") as d:
        c.null()
        d.null()
        assert daemon.counters()["connections"] == kept + 1
    for pair in pairs:
        for s in pair:
            s.close()


@pytest.mark.parametrize("args", [["-l"], ["-i", "127.0.0.1"]])
@pytest.mark.parametrize("spec", [TCP111, UDP111])
def test_i_and_l_do_not_apply_to_inherited_sockets(host, args, spec):
    """It would serve the network, which nobody expects."""
    code, out = host.run([*under(spec, PATH), PORTMAP, "-f", *args],
                         check=False)
    assert code == 2
    assert out == "portmap: -i and -l do not apply to inherited sockets: " \
        "use -a, or run `systemctl edit portmap.socket`, as portmap(7) shows\n"


def test_l_with_an_inherited_local_socket(host, start):
    start(host, "-l", under=under(PATH))
    with host.local() as c, host.udp() as d:
        c.null()
        d.null()


@pytest.mark.parametrize("spec, reason", [
    ("tcp6,::,111", "IPv6 is not served: write 0.0.0.0"),
    ("dual-udp6,::,111", "IPv6 is not served"),
    ("tcp,0.0.0.0,112", "on another port"),
    ("deaf,0.0.0.0,111", "not listening"),
    ("seqpacket,/run/x,", "neither a stream nor a datagram"),
    ("file,/etc/passwd,", "not a socket")])
def test_a_socket_of_init_that_is_no_origin(host, start, spec, reason):
    daemon = start(host, under=under(UDP111, spec, PATH))
    daemon.expect_line(f"inherited descriptor 4 is not used: {reason}")
    for origin in (host.udp, host.tcp, host.local):
        with origin() as c:
            c.null()


def test_connections_to_a_socket_that_is_not_used_are_refused(host, start):
    """Another process has it, too, as systemd does."""
    holder = "os.write(w, b'x'); import time; time.sleep(20)"
    daemon = start(host, under=under(UDP111, "tcp6,::1,111", early=holder))
    daemon.expect_line("inherited descriptor 4 is not used: IPv6 is not served")
    with host.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        with pytest.raises(ConnectionRefusedError):
            s.connect(("::1", 111))


def test_udp_over_ipv6_of_init(host, start):
    start(host, under=under(UDP111, "udp6,::,111", PATH))
    with host.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.connect(("::1", 111))
        with rpc.Client(s) as c:
            assert c.call(rpc.NULL, vers=4).stat == rpc.PROG_MISMATCH


def test_sockets_for_somebody_else(host, start):
    """What is in LISTEN_FDS counts for LISTEN_PID only."""
    start(host, under=["env", "LISTEN_PID=1", "LISTEN_FDS=1"])
    with host.udp() as c:
        c.null()


@pytest.mark.parametrize("count, says", [
    (1, "LISTEN_FDS=1, but descriptor 3 is not open"),
    (265, "LISTEN_FDS=265: more than 264 sockets")])
def test_wrong_counts(host, count, says):
    more = "import os; [os.dup2(0, 3 + i) for i in range(263)]; "
    script = (f"import os, sys; {more if count > 1 else ''}"
              f"os.environ.update(LISTEN_PID=str(os.getpid()), "
              f"LISTEN_FDS='{count}'); os.execv(sys.argv[1], sys.argv[1:])")
    code, out = host.run(["/usr/bin/python3", "-c", script, PORTMAP, "-f"],
                         check=False)
    assert code == 1 and says in out, out


# in a container

@pytest.mark.uninstrumented
@pytest.mark.parametrize("run", ["writable", "read-only"])
def test_process_1_on_a_read_only_root(host, start, run):
    """Nobody is there to handle signals for it, or to reap."""
    script = ("mount -o remount,bind,ro / && "
              + ("mount -o remount,bind,ro /run && " if run == "read-only"
                 else "") + "exec \"$@\"")
    daemon = start(host, under=["unshare", "-m", "-p", "-f", "--mount-proc",
                                "--kill-child", "sh", "-c", script, "sh"])
    with open(f"/proc/{daemon.pid}/task/{daemon.pid}/children") as f:
        pid = int(f.read())
    with open(f"/proc/{pid}/status") as f:
        assert re.search(r"^NSpid:\s+\d+\s1$", f.read(), re.M)
    with host.root_udp() as c, host.tcp() as d:
        assert c.set(PROG, 1, UDP, 5000) == 1
        assert d.getport(PROG, 1, UDP) == 5000
    if run == "read-only":
        for line in ("no files in /run/portmap: Read-only file system",
                     "cannot listen on /run/rpcbind.sock: Read-only"):
            daemon.expect_line(line)
    else:
        with host.local() as c:
            assert c.getport(PROG, 1, UDP) == 5000
    os.kill(pid, signal.SIGTERM)
    assert daemon.process.wait(10) == 0
    daemon.stop()
