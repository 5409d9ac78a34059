# SPDX-License-Identifier: BSD-2-Clause
"""Options, start, readiness, privileges, signals, stop."""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

import rpc
from lab import BUILD, NOBODY, NO_SANDBOX, PORTMAP, ROOT, SANITIZED, \
    WITHOUT_PASSRIGHTS, as_uid, connect_hosts, need_program, need_uid, \
    refusing, status, until
from rpc import TCP, UDP

PROG = 300400


def listen_to_log(host):
    """A syslog: what is sent to /dev/log."""
    path = host.path("/dev/log")
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # the path of a socket is short: go by a directory descriptor
    fd = os.open(path.parent, os.O_RDONLY)
    sock.bind(f"/proc/self/fd/{fd}/log")
    os.close(fd)
    os.chmod(path, 0o666)
    sock.settimeout(5)
    return sock


@pytest.fixture
def log_daemon(host):
    with listen_to_log(host) as sock:
        yield sock


def fails(host, *args, status=1, **kw):
    """It does not start, and says why in one line."""
    code, out = host.run([PORTMAP, *args], check=False, timeout=10, **kw)
    assert code == status, out
    lines = out.splitlines()
    assert len(lines) == 1 and lines[0].startswith("portmap: "), out
    return lines[0]


@pytest.mark.parametrize("args,says", [
    (["-x"], "unknown option -- x"), (["--x"], "unknown option --x"), (["-u"], "requires an argument -- u"),
    (["-p", "abc"], "-p"), (["-p", "0"], "-p"),
    (["-p", "65536"], "-p"), (["-p", "111x"], "-p"), (["extra"], "extra"),
    (["-l", "-i", "127.0.0.1"], "-l"), (["-f", "-?"], "-- ?"),
    (["-c", "all"], "-c all"), (["-i", "1.2.3"], "-i 1.2.3"),
    (["-i", "0.0.0.0"], "omit -i"), (["-i", "localhost"], "-i localhost"),
    (["-i", "127.0.0.2"] * 33, "more than 32 addresses"),
    (["-a", "10.0.0.0/33"], "-a 10.0.0.0/33"),
    (["-a", "10.0.0.1/8"], "host bits are set: write it as 10.0.0.0/8;"),
    (["-a", "192.0.2.129/25"], "write it as 192.0.2.128/25;"),
    (["-a", "10.0.0.0/"], "-a"),
    (["-a", "x/8"], "-a x/8: not an IPv4 network; for example 192.0.2.0/24;"),
    (["-a", "foo"], "-a foo: not an IPv4 network; for example 192.0.2.0/24;"),
])
def test_wrong_use(host, args, says):
    line = fails(host, *args, status=2)
    assert says in line and "portmap -h" in line
    assert fails(host, "-n", *args, status=2) == line


def test_a_check_of_the_options(host, log_daemon, daemon):
    """Before a good daemon is stopped, for example; so nothing has failed."""
    log_daemon.setblocking(False)
    assert "-- x" in fails(host, "-nx", status=2)
    with pytest.raises(BlockingIOError):
        log_daemon.recv(1000)
    assert "-- x" in fails(host, "-x", status=2)
    assert b"-- x" in log_daemon.recv(1000)
    assert host.run([PORTMAP, "-n", "-a", "192.0.2.0/24", "-u",
                     str(os.getuid())]) == ""
    assert "no user nosuch" in fails(host, "-n", "-u", "nosuch", status=2)
    assert "no group nosuch" in fails(host, "-n", "-g", "nosuch", status=2)
    with host.local() as c:
        c.null()


def test_help_and_version(host):
    out = host.run([PORTMAP, "-h"])
    assert host.run([PORTMAP, "--help"]) == out
    assert max(map(len, out.splitlines())) <= 80
    assert host.run([PORTMAP, "--version"]) == host.run([PORTMAP, "-V"])
    for option in "acdfgiklpSuvVh":
        assert re.search(rf"^  -{option}\b", out, re.M), option
    version = host.run([PORTMAP, "-V"])
    assert re.fullmatch(r"portmap \d+\.\d+\n", version)
    assert (ROOT / "README").read_text().startswith(version.strip() + " - ")
    assert re.search(r"^\d.*", (ROOT / "src/NEWS").read_text(),
                     re.M)[0].split()[0] == version.split()[1]


@pytest.mark.parametrize("args,says", [
    (["-u", "no-such-user"], "no-such-user"),
    (["-g", "no-such-group"], "no-such-group")])
def test_malformed_values(host, log_daemon, args, says):
    line = fails(host, *args, status=2)
    assert says in line
    # the same line is in syslog
    message = log_daemon.recv(2000).decode()
    assert re.match(r"<27>\w{3} [ \d]\d \d\d:\d\d:\d\d portmap\[\d+\]: ",
                    message)
    assert message.split("]: ", 1)[1] == line.split(": ", 1)[1]


def snapshot(host):
    return sorted((str(p), p.lstat().st_ino, p.lstat().st_mtime)
                  for d in ("/run/portmap", "/run/rpcbind.sock")
                  for p in [host.path(d), *host.path(d).glob("**/*")])


@pytest.mark.parametrize("args", [[], ["-f"], ["-l"], ["-i", "127.0.0.1"]])
def test_a_second_instance_leaves_the_first_alone(host, daemon, args):
    with host.local() as c:
        c.set(PROG, 1, UDP, 5000)
    before = snapshot(host)
    assert f"already running as pid {daemon.pid}" in fails(host, *args)
    assert snapshot(host) == before
    with host.local() as c:
        assert c.getport(PROG, 1, UDP) == 5000


@pytest.mark.parametrize("kind,name", [(socket.SOCK_DGRAM, "udp"),
                                       (socket.SOCK_STREAM, "tcp")])
@pytest.mark.parametrize("addr", ["0.0.0.0", "127.0.0.1"])
def test_a_port_taken_by_another_program(host, kind, name, addr):
    with host.bound(kind, 111, addr):
        line = fails(host)
        assert f"port 111/{name} is in use" in line and "-p" in line
    assert not host.path("/run/rpcbind.sock").exists()
    assert host.path("/run/portmap/portmap.pid").read_text() == ""


@pytest.mark.parametrize("full", [False, True])
def test_another_port_mapper_on_the_local_socket(host, full):
    """Also one that is busy: its backlog is full."""
    script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); "
              "s.bind('/run/rpcbind.sock'); s.listen(0); "
              "c = socket.socket(socket.AF_UNIX); "
              f"{full} and c.connect('/run/rpcbind.sock'); "
              "print('x', flush=True); sys.stdin.read()")
    with host.popen(["/usr/bin/python3", "-c", script], text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        inode = host.path("/run/rpcbind.sock").stat().st_ino
        assert "another port mapper serves /run/rpcbind.sock" in \
            fails(host)
        assert host.path("/run/rpcbind.sock").stat().st_ino == inode
        other.stdin.close()


def test_a_stale_socket_is_replaced(host, start):
    for _ in range(2):
        daemon = start(host)
        with host.local() as c:
            c.null()
        daemon.kill()
        assert host.path("/run/rpcbind.sock").exists()
    daemon = start(host)
    assert "portmapper" in host.run(["rpcinfo", "-p"])


def test_another_file_at_the_sockets_place_stays(host, start):
    host.path("/run/rpcbind.sock").write_text("precious")
    daemon = start(host)
    daemon.expect_line("cannot listen on /run/rpcbind.sock")
    assert host.path("/run/rpcbind.sock").read_text() == "precious"
    with host.udp() as c:
        c.null()


@pytest.mark.slow
def test_the_abstract_name_is_taken(host, start):
    with host.socket(socket.AF_UNIX, socket.SOCK_STREAM,
                     bind="\0/run/rpcbind.sock", uid=NOBODY) as s:
        with as_uid(NOBODY):
            s.listen()
        daemon = start(host)
        daemon.expect_line("cannot listen on @/run/rpcbind.sock: "
                           f"uid={NOBODY} pid={os.getpid()} has this")
        with host.udp() as c:
            c.null()
    daemon.expect_line("listening name=@/run/rpcbind.sock")
    with host.local() as c:
        assert c.set(PROG, 1, UDP, 5000) == 1


@pytest.mark.slow
@pytest.mark.parametrize("listens", [False, True])
def test_the_abstract_name_is_taken_by_who_accepts_nothing(host, start,
                                                           listens):
    name = "\0/run/rpcbind.sock"
    with host.socket(socket.AF_UNIX, socket.SOCK_STREAM, bind=name,
                     uid=NOBODY) as s, contextlib.ExitStack() as stack:
        if listens:
            s.listen(0)
            stack.enter_context(host.socket(
                socket.AF_UNIX, socket.SOCK_STREAM, connect=name, uid=NOBODY))
        daemon = start(host)
        daemon.expect_line("cannot listen on @/run/rpcbind.sock: a process " +
                           ("with a full backlog" if listens else
                            "that does not listen"))
    daemon.expect_line("listening name=@/run/rpcbind.sock")


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_nobody_can_listen_beside_us(host, start, kind):
    start(host, "-p", "10111")
    for uid in (0, 1, NOBODY):
        for addr in ("0.0.0.0", "127.0.0.1", "127.0.0.2"):
            for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                if (uid, kind, option) == (0, socket.SOCK_STREAM,
                                           socket.SO_REUSEPORT):
                    continue  # the kernel permits it to whom both belong
                with host.socket(socket.AF_INET, kind, uid=uid) as s:
                    if option:
                        s.setsockopt(socket.SOL_SOCKET, option, 1)
                    with pytest.raises(OSError):
                        s.bind((addr, 10111))
                        if kind == socket.SOCK_STREAM:
                            s.listen()


@pytest.mark.plain
def test_nobody_can_listen_beside_us_at_the_start(host):
    """While our own UDP sockets share a port."""
    need_program("strace")
    need_uid(NOBODY)
    with host.popen(["strace", "-D", "-qq", "-o", "/dev/null", "-e",
                     "inject=bind:delay_exit=100000", PORTMAP, "-f", "-p",
                     "10111"], stderr=subprocess.PIPE, text=True) as p:
        until(lambda: host.run(["ss", "-Hlnu", "sport", "10111"]))
        ready = threading.Thread(target=p.stderr.readline)
        ready.start()
        refused = bound = 0
        while ready.is_alive():
            for addr in ("0.0.0.0", "127.0.0.1"):
                with host.socket(socket.AF_INET, socket.SOCK_DGRAM,
                                 uid=NOBODY) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    try:
                        s.bind((addr, 10111))
                        bound += 1
                    except OSError:
                        refused += 1
        p.terminate()
    assert bound == 0 and refused > 3 and p.returncode == 0


@pytest.mark.parametrize("args, addr", [
    ([], "0.0.0.0"), (["-l"], None), (["-i", "127.0.0.9"], "127.0.0.9%lo")])
def test_exactly_the_listed_sockets(host, start, args, addr):
    start(host, *args)
    addrs = {addr, "127.0.0.1%lo", "127.0.1.1%lo"} - {None}
    out = host.run(["ss", "-Hlntu4"])
    assert sorted(tuple(line.split()[i] for i in (0, 4))
                  for line in out.splitlines()) == \
        sorted((proto, f"{a}:111") for proto in ("tcp", "udp") for a in addrs)
    # the backlog
    assert {line.split()[3] for line in out.splitlines()
            if line.startswith("tcp")} == {"4096"}
    out = host.run(["ss", "-Hlntu6"])
    assert sorted(line.split()[0:5:4] for line in out.splitlines()) == \
        [["udp", "[::1]:111"], ["udp", "[::]:111"]][:1 if args else 2]
    out = host.run(["ss", "-Hlx"])
    assert sorted(line.split()[4] for line in out.splitlines()) == \
        ["/run/rpcbind.sock", "@/run/rpcbind.sock"]


def test_another_port_is_another_instance(host, daemon, start):
    other = start(host, "-p", "10111")
    with host.root_udp(port=10111) as c, host.udp() as first:
        assert c.dump() == [(rpc.PMAP, 2, TCP, 10111),
                            (rpc.PMAP, 2, UDP, 10111)]
        assert c.set(PROG, 1, UDP, 5000) == 1
        assert first.getport(PROG, 1, UDP) == 0
    assert host.path("/run/portmap.10111/portmap.pid").read_text() == \
        f"{other.pid}\n"


def test_loopback_only(linked, start):
    a, b = linked
    start(a, "-l")
    for origin in (a.udp, a.tcp, a.local):
        with origin() as c:
            c.null()
    with pytest.raises(ConnectionRefusedError):
        b.tcp("192.168.77.1")
    with b.udp("192.168.77.1") as c, pytest.raises(ConnectionRefusedError):
        c.null()


def test_one_address_only_and_its_broadcasts(make_host, start):
    a, b = make_host(), make_host()
    connect_hosts(a, b, "192.168.77", ("veth0", "veth0"))
    connect_hosts(a, b, "192.168.78", ("veth1", "veth1"))
    start(a, "-i", "192.168.77.1", "-i", "10.1.2.3")
    for origin in (b.udp, b.tcp):
        with origin("192.168.77.1") as c:
            c.null()
    for origin in (a.udp, a.tcp, a.local):
        with origin() as c:
            c.null()
    with pytest.raises(ConnectionRefusedError):
        b.tcp("192.168.78.1")
    # an address that appears later
    a.run(["ip", "addr", "add", "10.1.2.3/24", "dev", "veth0"])
    b.run(["ip", "route", "add", "10.1.2.0/24", "dev", "veth0"])
    for origin in (b.udp, b.tcp):
        with origin("10.1.2.3") as c:
            c.null()
    with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.sendto(rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0)),
                 ("192.168.77.255", 111))
        data, source = s.recvfrom(100)
        assert source == ("192.168.77.1", 111)
        assert rpc.parse(data).body == rpc.words(111)


def test_two_addresses_with_the_same_broadcast_address(linked, start):
    a, b = linked
    a.run(["ip", "addr", "add", "192.168.77.9/24", "brd", "+", "dev", "veth0"])
    start(a, "-i", "192.168.77.1", "-i", "192.168.77.9", "-i", "192.168.77.1")
    call = rpc.call(rpc.GETPORT, rpc.mapping(rpc.PMAP, 2, UDP, 0))
    with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for to, source in (("192.168.77.255", "192.168.77.1"),
                           ("192.168.77.9", "192.168.77.9"),
                           ("192.168.77.1", "192.168.77.1")):
            s.sendto(call, (to, 111))
            # one reply, or the second one would come in place of the next
            assert s.recvfrom(100)[1] == (source, 111)


def test_an_address_that_is_its_broadcast_address(linked, start):
    """As DHCP clients set one with a /32, in some clouds."""
    a, b = linked
    a.run(["ip", "addr", "add", "192.0.2.9/32", "brd", "192.0.2.9", "dev",
           "veth0"])
    b.run(["ip", "route", "add", "192.0.2.9", "dev", "veth0"])
    start(a, "-i", "192.0.2.9")
    with b.udp("192.0.2.9") as c:
        c.null()


@pytest.mark.parametrize("to", ["192.168.77.255", "255.255.255.255"])
def test_what_a_broadcast_is_answered_with(linked, start, to):
    a, b = linked
    start(a)
    with a.local() as c:
        c.set(PROG, 1, UDP, 5000)
    with b.socket(socket.AF_INET, socket.SOCK_DGRAM,
                  bind=("192.168.77.2", 0)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for data in (rpc.call(rpc.NULL), rpc.call(rpc.DUMP, b"\0" * 500),
                     rpc.call(rpc.SET, rpc.mapping(PROG, 2, UDP, 5000)),
                     rpc.call(rpc.GETPORT, b"short"), rpc.call(0, vers=3),
                     rpc.call(0, prog=1), rpc.call(9), rpc.call(0, rpcvers=3),
                     rpc.call(0, cred=(6, b"")),
                     rpc.call(rpc.GETPORT, rpc.mapping(1, 1, UDP, 0))):
            s.sendto(data, (to, 111))
        # the last one is the only one that is replied
        good = rpc.call(rpc.GETPORT, rpc.mapping(PROG, 1, UDP, 0))
        s.sendto(good, (to, 111))
        data, source = s.recvfrom(1000)
        assert source == ("192.168.77.1", 111)
        assert data[:4] == good[:4]


@pytest.mark.parametrize("args,uid,gid", [
    ([], 1, 1), (["-u", "nobody"], 65534, 65534), (["-g", "games"], 1, 60),
    (["-u", "1234"], 1234, 1234), (["-u", "1234", "-g", "99"], 1234, 99),
    (["-u", "root"], 0, 0)])
@pytest.mark.needs("several users")
def test_privileges_are_gone(host, start, args, uid, gid):
    daemon = start(host, *args, before=lambda: os.setgroups([0, 5, 42]))
    status = daemon.status()
    assert status["Uid"].split() == [str(uid)] * 4
    assert status["Gid"].split() == [str(gid)] * 4
    assert status["Groups"].split() == []
    for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[caps], 16) == 0
    assert status["NoNewPrivs"] == "1"
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
    assert re.search(r"core file size +0 +0", limits)


def test_an_ordinary_user_with_the_capability(host, tmp_path, start):
    copy = host.copy(PORTMAP)
    code, out = host.run([copy, "-f"], check=False, uid=1234)
    assert code == 1 and "CAP_NET_BIND_SERVICE" in out.splitlines()[-1]
    host.run(["setcap", "cap_net_bind_service=ep", copy])
    code, out = host.run([copy, "-f", "-g", "games"], check=False, uid=1234)
    assert code == 2 and "no permission to become user 1234: start as" in out
    log = open(tmp_path / "log", "w+")
    p = host.popen([copy, "-f", "-g", "1234", *NO_SANDBOX], uid=1234,
                   stderr=log)
    try:
        until(lambda: "ready" in pathlib.Path(log.name).read_text())
        with host.udp() as c, host.tcp() as t:
            c.null()
            t.null()
        status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
        assert re.search(r"CapEff:\s+0+\n", status)
        assert re.search(r"CapPrm:\s+0+\n", status)
        assert re.search(r"NoNewPrivs:\s+1\n", status)
    finally:
        p.terminate()
        assert p.wait(20) == 0
    text = pathlib.Path(log.name).read_text()
    assert "no files" in text and "cannot listen on /run/rpcbind.sock" in text
    log.close()


@pytest.mark.needs("several users")
def test_a_user_namespace_with_one_uid(tmp_path):
    copy = shutil.copy(PORTMAP, "/dev/shm/portmap")
    script = (f"ip link set lo up; mount -t tmpfs x /run; "
              f"{copy} -f; echo status=$?; {copy} -u root || exit 7; "
              f"cp /run/portmap/portmap.pid /dev/shm; "
              f"/usr/bin/python3 -c '"
              f"import socket; s = socket.create_connection((\"127.0.0.1\", "
              f"111))' && kill $(cat /run/portmap/portmap.pid)")
    try:
        out = subprocess.run(
            ["setpriv", "--reuid", "1234", "--regid", "1234",
             "--clear-groups", "unshare", "-Urmn", "sh", "-c", script],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=30)
    finally:
        # in a network namespace of its own, where the sandbox does not look
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(pathlib.Path("/dev/shm/portmap.pid").read_text()),
                    signal.SIGKILL)
    assert out.returncode == 0, out.stdout
    lines = out.stdout.splitlines()
    assert "-u root" in lines[0] and lines[1] == "status=1"
    assert len(lines) == 2, lines


def test_the_background(host, log_daemon):
    """The parent returns 0 only when all origins reply."""
    code, out = host.run([PORTMAP], check=False)
    assert (code, out) == (0, "")
    for origin in (host.udp, host.tcp, host.local):
        with origin() as c:
            c.null()
    pid_file = host.path("/run/portmap/portmap.pid")
    pid = int(pid_file.read_text())
    st = pid_file.stat()
    assert (st.st_uid, stat.S_IMODE(st.st_mode)) == (0, 0o644)
    st = pid_file.parent.stat()
    assert (st.st_uid, stat.S_IMODE(st.st_mode)) == (0, 0o755)
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().split()
    assert fields[5] == str(pid), "leads a session of its own"
    links = [os.readlink(f"/proc/{pid}/fd/{fd}")
             for fd in sorted(map(int, os.listdir(f"/proc/{pid}/fd")))]
    assert all(link.endswith("/null") for link in links[:3])
    # root believes what is in that file
    assert not [link for link in links if link.endswith("portmap.pid")]
    assert re.search(r"portmap\[\d+\]: ready version=[\d.]+ port=111 "
                     r"user=daemon entries=2",
                     log_daemon.recv(2000).decode())
    # the same words once more
    assert "already running" in fails(host)
    assert "already running" in log_daemon.recv(2000).decode()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert "stopped signal=15" in log_daemon.recv(2000).decode()


def test_the_log_daemon_is_restarted(host, log_daemon):
    host.run([PORTMAP])
    pid = int(host.path("/run/portmap/portmap.pid").read_text())
    assert "ready" in log_daemon.recv(2000).decode()
    log_daemon.close()
    os.kill(pid, signal.SIGUSR1)  # nobody is there to hear that it is verbose
    with host.udp() as c:
        c.null()
    with listen_to_log(host) as again:
        os.kill(pid, signal.SIGUSR2)
        line = again.recv(2000).decode()
        while "counters" not in line:
            line = again.recv(2000).decode()
        os.kill(pid, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{pid}"))


@pytest.mark.parametrize("sigchld", [signal.SIG_DFL, signal.SIG_IGN])
def test_the_background_when_it_cannot_start(host, sigchld):
    with host.bound(socket.SOCK_DGRAM, 111):
        assert "is in use" in fails(
            host, before=lambda: signal.signal(signal.SIGCHLD, sigchld))


def test_the_background_keeps_no_inherited_descriptor(host):
    def inherit():
        os.dup2(os.open("/dev/null", os.O_RDONLY), 50)
        os.set_inheritable(50, True)
    host.run([PORTMAP], before=inherit, close_fds=False)
    pid = int(host.path("/run/portmap/portmap.pid").read_text())
    try:
        assert "50" not in os.listdir(f"/proc/{pid}/fd")
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{pid}"))


@pytest.mark.plain
def test_it_is_not_dumpable(host):
    """Then its files in proc(5) belong to root, and its user cannot attach:
    also where it changes no uid, as under systemd."""
    with host.popen([host.copy(PORTMAP), "-f", "-p", "10111"],
                    uid=1234, stderr=subprocess.DEVNULL) as p:
        try:
            with host.udp(port=10111) as c:
                def replies():
                    try:
                        c.null()
                    except OSError:
                        return False
                    return True
                until(replies, what="a reply")
            assert status(p.pid)["Uid"].split()[0] == "1234"
            assert os.stat(f"/proc/{p.pid}/environ").st_uid == 0
        finally:
            p.terminate()


@pytest.mark.plain
@pytest.mark.uninstrumented
def test_the_limit_of_file_sizes(host, start):
    """RLIMIT_FSIZE fails a write, and does not end the daemon."""
    daemon = start(host, under=["prlimit", "--fsize=300"])
    daemon.expect("stale ")
    daemon.expect_line("cannot create the file of the mappings: "
                       "File too large")
    with host.local() as c:
        for i in range(50):
            assert c.set(PROG + i, 1, UDP, 5000) == 1


REFUSED_CALLS = [
    # what the kernel refuses, and what the operator then reads
    ("-f", "prlimit64:error=EPERM", "cannot set limits"),
    ("", "pipe2:error=EMFILE", "cannot create a pipe"),
    ("", "clone:error=EAGAIN", "cannot fork"),
    ("", "chdir:error=ENOENT", "cannot change directory: /"),
    ("-f", "socket:error=EMFILE", "cannot create a tcp socket"),
    ("-f", "setsockopt:error=ENOPROTOOPT", "cannot set the socket option IP"),
    ("-f", "bind:error=EACCES", "no permission to bind port 111/tcp: start as root"),
    ("-f", "bind:error=EADDRNOTAVAIL", "cannot listen on 0.0.0.0 port 111/tcp"),
    ("-f", "setresuid,?setresuid32:error=EAGAIN", "cannot become user daemon"),
    ("-f", "capset:error=EPERM", "cannot drop privileges"),
    ("-f", "getrandom:error=ENOSYS", "cannot get random bytes"),
    ("-f", "signalfd4:error=EMFILE", "cannot receive signals"),
]


@pytest.mark.plain
@pytest.mark.parametrize("option, call, says", REFUSED_CALLS)
def test_the_kernel_refuses(host, option, call, says):
    need_uid("setresuid" in call)
    code, out = host.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                          f"inject={call}", PORTMAP, *option.split()],
                         check=False)
    assert code == 1
    assert re.fullmatch(f"portmap: {re.escape(says)}.*\n", out), out


@pytest.mark.plain
@pytest.mark.parametrize("call, says", [
    ("fchmod:error=EPERM", "no files in /run/portmap: "),
    ("pwrite64:error=EIO", "cannot write the pid file: "),
    ("ftruncate,?ftruncate64:error=EIO", "cannot (write|empty) the pid file: ")])
def test_it_starts_with_less(host, start, call, says):
    """And says what is missing."""
    daemon = start(host, under=["strace", "-D", "-f", "-qq", "-o", "/dev/null",
                                "-e", f"inject={call}"])
    daemon.expect("cannot create the file of the mappings: ", "listening ")
    daemon.expect_line(says)
    with host.udp() as c:
        c.null()
    if "ftruncate" in call:
        daemon.stop()


@pytest.mark.plain
@pytest.mark.parametrize("addrlen, says", [
    (len("..\0/run/rpcbind.sock"), "cannot listen on /run/rpcbind.sock: "),
    (12, "cannot read the addresses of this host: ")])  # sockaddr_nl
def test_an_address_that_cannot_be_bound(host, start, addrlen, says):
    daemon = start(host, under=refusing(f"bind={addrlen}"))
    daemon.expect_line(says)
    with host.udp() as c:
        c.null()


@pytest.mark.plain
def test_a_kernel_without_udp_diag(host, start):
    """What is not known about a port is not taken for a free one."""
    with host.bound(socket.SOCK_DGRAM, uid=1001) as service:
        port = service.getsockname()[1]
        daemon = start(host)
        with host.local(1001) as c:
            assert c.set(PROG, 1, UDP, port) == 1
        daemon.stop()
        daemon = start(host, under=refusing("sock_diag"))
        daemon.expect_line("cannot use sock_diag: .*; stale entries are kept")
        daemon.expect("refused .*reason=(busy|owner)")
        with host.local(1002) as c, host.udp() as d:
            assert c.set(PROG, 1, UDP, port + 1) == 0
            assert c.unset(PROG, 1) == 0
            assert d.getport(PROG, 1, UDP) == port


@pytest.mark.slow
@pytest.mark.plain
def test_start_waits_for_every_origin(host):
    """However long it takes to open them."""
    with host.popen(["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e",
                     "inject=bind,listen:delay_enter=100000", PORTMAP],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL) as p:
        assert p.wait(20) == 0
    for origin in (host.udp, host.tcp, host.local):
        with origin() as c:
            c.null()
    pid = int(host.path("/run/portmap/portmap.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    until(lambda: not os.path.exists(f"/proc/{pid}"))


@pytest.mark.slow
def test_start_and_use_in_one_line(host):
    """Init scripts rely on it: start returns when registration works."""
    script = (f"{PORTMAP} && echo {PROG} 1 tcp 111 | {BUILD}/pmap_set && "
              f"pid=$(cat /run/portmap/portmap.pid); kill $pid; "
              f"s=$?; while kill -0 $pid 2>/dev/null; do :; done; exit $s")
    for _ in range(20 if SANITIZED else 200):
        host.run(["sh", "-c", script])


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_stop(host, daemon, sig):
    with host.tcp() as a, host.local() as b:
        a.null()
        b.sock.sendall(b"\x80\0")
        daemon.stop(sig)
    daemon.expect_line(rf"stopped signal={int(sig)} entries=2")


def test_signals(host, daemon):
    with host.local() as c, host.bound(socket.SOCK_DGRAM, 5000):
        c.set(PROG, 1, UDP, 5000)
        c.set(PROG, 2, UDP, 5001)
        daemon.send(signal.SIGHUP)
        daemon.expect_line(f"stale prog={PROG} vers=2 ")
        daemon.expect_line("swept stale=1 entries=3")
        daemon.send(signal.SIGHUP)
        daemon.expect_line("swept stale=0 entries=3")
        daemon.send(signal.SIGPIPE)
        assert c.getport(PROG, 1, UDP) == 5000
        daemon.send(signal.SIGUSR1)
        daemon.expect_line("verbose calls=on")
        c.getport(PROG, 1, UDP)
        daemon.expect_line(
            r"call proc=getport uid=0 pid=\d+ via=local prog=300400 "
            r"vers=1 prot=17 port=0 result=5000")
        daemon.send(signal.SIGUSR1)
        daemon.expect_line("verbose calls=off")
        c.getport(PROG, 1, UDP)
        daemon.send(signal.SIGUSR2)
        line = daemon.expect_line("counters .*").group()
    counters = dict(p.split("=") for p in line.split()[2:])
    assert counters["entries"] == "3" and counters["connections"] == "1"
    assert counters["local.set"] == "2" and counters["local.getport"] == "3"


def test_many_stale_entries(host, daemon):
    """To search for their servers takes more time than a burst may."""
    daemon.expect("stale ", "suppressed ")
    with host.local() as c, host.bound(socket.SOCK_DGRAM, 5000):
        for i in range(200):
            c.set(PROG + i, 1, UDP, 5000 + i)
        daemon.send(signal.SIGHUP)
        # there may be many sockets in other namespaces
        until(lambda: len(c.dump()) == 3, 60)
        daemon.expect_line("swept stale=199 entries=3")
        assert c.dump()[2:] == [(PROG, 1, UDP, 5000)]


def metrics(host):
    """What Prometheus reads: the value of each sample, and the type of each
    family, all of whose samples follow it."""
    values, types, family = {}, {}, None
    for line in host.path("/run/portmap/portmap.prom").read_text() \
            .splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in types and len(line.split()) > 3
        elif line.startswith("# TYPE "):
            _, _, name, types[family] = line.split()
            assert name == family
        else:
            sample = re.fullmatch(
                r'([a-z_]+)(\{(,?[a-z]+="[a-z0-9_]+")+\})? (\d+)', line)
            assert sample[1] == family and line.split()[0] not in values
            values[line.split()[0]] = int(sample[4])
    return values, types


def test_counters_for_prometheus(host, start):
    daemon = start(host)
    assert metrics(host) == ({}, {})
    daemon.expect("refused ")
    with host.local() as root, host.local(uid=1001) as user:
        for i in range(100):
            root.set(PROG, i, UDP, 5000)
        user.set(100003, 3, UDP, 5000)
        line = daemon.counters()
        values, types = metrics(host)
        # the file holds what the line holds
        assert len(values) == len(line)
        assert sorted(values.values()) == sorted(line.values())
        assert values["portmap_entries"] == 102
        assert values['portmap_calls_total{via="local",proc="set"}'] == 101
        assert values['portmap_refused_total{reason="protected"}'] == 1
        assert values["portmap_lost_total"] == 0
        assert {name for name, kind in types.items() if kind == "gauge"} == \
            {"portmap_entries", "portmap_connections", "portmap_callits"}
        # and nothing of what it held before, should that be longer
        with open(host.path("/run/portmap/portmap.prom"), "a") as f:
            f.write("portmap_old 1\n" * 100)
        daemon.counters()
        assert len(metrics(host)[0]) == len(line)
        for i in range(100):
            root.unset(PROG, i)
    daemon.stop()
    # a later daemon is another user, as after a start by hand
    start(host, "-u", "root").counters()
    assert metrics(host)[0]["portmap_entries"] == 2


def test_counters(host, daemon):
    daemon.expect("refused ", "counters ")
    with host.udp() as c, host.local() as local:
        c.set(PROG, 1, UDP, 1)
        c.set(PROG, 1, UDP, 0)
        c.unset(rpc.PMAP, 2)
        local.null(vers=3)
        local.set3(PROG, 1, "xyz", "")
        c.silent(b"noise")
        daemon.send(signal.SIGUSR2)
        line = daemon.expect_line("counters .*").group()
    counters = dict(p.split("=") for p in line.split()[2:])
    for name, n in (("refused.reserved", 1), ("refused.range", 2),
                    ("refused.self", 1), ("local.null", 1), ("local.set", 1),
                    ("loopback.set", 2), ("loopback.unset", 1),
                    ("badcalls", 1)):
        assert int(counters[name]) == n, name


def test_signals_under_load(host, daemon):
    """A flood does not keep signals out."""
    with host.udp() as c:
        c.sock.setblocking(False)
        data = rpc.call(0)
        daemon.send(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while daemon.process.poll() is None:
            assert time.monotonic() < deadline
            try:
                for _ in range(50):
                    c.sock.send(data)
            except OSError:
                pass
    assert daemon.process.returncode == 0


def test_closed_standard_descriptors(host, tmp_path):
    def close_all():
        for fd in range(3):
            os.close(fd)
    p = host.popen([PORTMAP, "-f"], before=close_all)
    try:
        def replies():
            with host.udp() as c:
                try:
                    c.null()
                    return True
                except ConnectionRefusedError:
                    return False
        until(replies)
        for fd in range(3):
            assert os.readlink(f"/proc/{p.pid}/fd/{fd}").endswith("/null")
        # a bad AUTH_SYS body makes libtirpc print
        with host.tcp() as c:
            c.call(0, cred=(1, rpc.words(0, 0, 0, 0, 1)))
            c.null()
    finally:
        p.terminate()
        p.wait(20)


def test_umask(host, start):
    start(host, before=lambda: os.umask(0o777))
    assert stat.S_IMODE(host.path("/run/rpcbind.sock").stat().st_mode) == 0o666
    assert stat.S_IMODE(
        host.path("/run/portmap/portmap.pid").stat().st_mode) == 0o644


@pytest.mark.needs("several users")
def test_a_run_directory_of_somebody_else(host, start):
    path = host.path("/run/portmap")
    path.mkdir()
    os.chown(path, 1234, 1234)
    daemon = start(host)
    daemon.expect_line("no files in /run/portmap: ")
    with host.udp() as c:
        c.null()
    assert list(path.iterdir()) == []
    assert path.stat().st_uid == 1234


def test_without_a_lock_there_is_no_pid_file(host, start):
    """The pid in it could be that of another instance."""
    host.path("/run/portmap/lock").mkdir(parents=True)
    daemon = start(host)
    daemon.expect_line("no files in /run/portmap: ")
    daemon.stop()
    assert host.path("/run/portmap/portmap.pid").read_text() == ""


def test_start_waits_for_an_instance_that_stops(host, start):
    """As in `kill $pid; portmap`."""
    run_dir = host.path("/run/portmap")
    run_dir.mkdir()
    with open(run_dir / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        daemon = start(host, ready=False)
        until((run_dir / "portmap.pid").exists)
        before = daemon.switches()
        # it has tried in vain, and sleeps in between
        until(lambda: daemon.switches() >= before + 3)
    daemon.wait_ready()


def test_lo_comes_up_later(host, start):
    host.run(["ip", "link", "set", "lo", "down"])
    start(host, "-l")
    host.run(["ip", "link", "set", "lo", "up"])
    for origin in (host.udp, host.tcp):
        with origin(sport=801) as c:
            assert c.set(PROG, 1, UDP, 5000) == 1


@pytest.mark.slow
def test_refusals_are_limited(host, daemon):
    daemon.expect("refused ")
    with host.udp() as c:
        for _ in range(2000):
            assert c.set(PROG, 1, UDP, 1) == 0
    line = daemon.expect_line(r"suppressed event=refused via=loopback lines=(\d+)")
    assert len(daemon.lines()) < 100
    with host.local() as c:
        assert c.set(PROG, 1, UDP, 5000) == 1
    assert int(line.group(1)) > 100


@pytest.mark.parametrize("option", ["-v", "-d"])
def test_verbose(host, start, option):
    daemon = start(host, option)
    daemon.expect("call ", "badcall ")
    with host.udp(sport=5432) as c:
        c.null()
        c.silent(b"noise")
        c.silent(rpc.call(0) + bytes(9001))
    daemon.expect_line("call proc=null from=127.0.0.1:5432 via=loopback ")
    for reason in "not_a_call", "length":
        daemon.expect_line("badcall from=127.0.0.1:5432 via=loopback "
                           f"reason={reason}")
    with host.local() as c:
        assert c.call(rpc.CALLIT).stat == rpc.PROC_UNAVAIL
    daemon.expect_line("badcall .* via=local reason=procedure")


def test_standard_error_that_nobody_reads(host):
    """Lines are dropped, and nobody waits."""
    r, w = os.pipe()
    os.set_blocking(w, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(w, bytes(65536))
    os.set_blocking(w, True)
    pid_file = host.path("/run/portmap/portmap.pid")
    with host.popen([PORTMAP, "-f", "-v", *NO_SANDBOX], stderr=w) as p:
        try:
            until(lambda: pid_file.exists() and pid_file.read_text())
            with host.local() as c:
                for _ in range(3):
                    c.null()
        finally:
            p.kill()
            os.close(r)
            os.close(w)


@pytest.mark.uninstrumented
@pytest.mark.parametrize("of_stderr", [True, False])
def test_levels_for_the_journal(host, of_stderr):
    """Only when it is systemd's journal that stderr goes to."""
    name = "$(stat -L -c %d:%i /proc/self/fd/2)" if of_stderr else "1:2"
    script = (f'export JOURNAL_STREAM={name}; '
              f'timeout -s INT 0.5 "$@"; "$@" -u 1x')
    code, out = host.run(["sh", "-c", script, "sh", PORTMAP, "-f"],
                         check=False)
    lines = out.splitlines()
    assert code == 2 and len(lines) == 3, out
    for line, level, text in zip(lines, (6, 6, 3), ("ready", "stopped", "no user 1x")):
        prefix = f"<{level}>" if of_stderr else ""
        assert line.startswith(f"{prefix}portmap: {text}"), out


@pytest.mark.plain
def test_a_fatal_line_is_in_the_journal_once(host, log_daemon):
    """systemd's journal gets it from stderr, and not from syslog as well."""
    script = ('export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); '
              'exec "$@" -f -u no-such-user')
    code, out = host.run(["sh", "-c", script, "sh", PORTMAP], check=False)
    assert code == 2 and out.startswith("<3>portmap: no user no-such-user")
    log_daemon.setblocking(False)
    with pytest.raises(BlockingIOError):
        log_daemon.recv(2000)


@pytest.mark.plain
def test_libtirpc_and_libseccomp_only(host):
    def libraries(path):
        out = subprocess.run(["ldd", path], text=True, check=True,
                             stdout=subprocess.PIPE).stdout
        return {line.split()[0]: line.split()[2] for line in out.splitlines()
                if "=>" in line}
    ours = libraries(PORTMAP)
    direct = [k for k in ours if k.startswith(("libtirpc", "libseccomp"))]
    allowed = {"libc.so.6", *direct}
    for name in direct:
        allowed |= set(libraries(ours[name]))
    assert set(ours) <= allowed
