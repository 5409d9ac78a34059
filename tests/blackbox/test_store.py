# SPDX-License-Identifier: BSD-2-Clause
"""Nothing registered is lost: kill -9, restart, broken disks, servers that are gone."""
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import threading

import pytest

import rpc
from lab import BUILD, INTEROP, NOBODY, SANITIZED, WITHOUT_DEBT, need_uid, \
    traced, until
from rpc import TCP, UDP

PROG = 300700
DGRAM = socket.SOCK_DGRAM
FILE = "/run/portmap/mappings"
HEAD, SLOT = 64, struct.Struct("=Q6I")  # order; the mapping and its owner; used
SIZE = HEAD + SLOT.size * (16384 + 2 + 1)


@pytest.fixture
def port(host):
    """A port that sockets of uid 1001 are bound to, in both protocols: longer
    than the daemon lives, if tests name it first."""
    with host.bound(socket.SOCK_STREAM, uid=1001) as tcp:
        number = tcp.getsockname()[1]
        with host.bound(DGRAM, number, uid=1001):
            yield number


def dump(host):
    with host.local() as c:
        return c.dump()[2:]


def restart(daemon, start, host, *args):
    daemon.kill()
    return start(host, *args)


def boot_id():
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def contents(*entries):
    """What the file has: the entries (prog, vers, prot, port, owner), in this
    order and from the first slot on, or a slot as bytes."""
    slots = b"".join(e if isinstance(e, bytes) else SLOT.pack(i + 1, *e, 1)
                     for i, e in enumerate(entries))
    head = f"portmap 2 boot={boot_id()}\n".encode()
    return (head.ljust(HEAD, b"\0") + slots).ljust(SIZE, b"\0")


def test_the_file(host, port, daemon):
    file = host.path(FILE)
    with host.local() as root, host.local(NOBODY) as nobody, \
            host.udp(uid=1001) as anon:
        root.set(PROG, 1, UDP, port)
        nobody.set(PROG + 1, 2, TCP, port)
        anon.set(PROG + 2, 3, UDP, port)
        root.set3(PROG + 3, 1, "tcp", rpc.uaddr(port))
        root.unset(PROG, 1)
        nobody.set(PROG + 1, 2, TCP, port - 1)
        root.set3(PROG, 1, "udp6", "::.1.1")
    st = file.stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (0, 0, 0o600)
    assert (st.st_size, st.st_blocks * 512 >= SIZE) == (SIZE, True)
    data = file.read_bytes()
    assert data[:HEAD] == contents()[:HEAD]
    used = sorted(slot for slot in SLOT.iter_unpack(data[HEAD:]) if slot[-1])
    assert [slot[1:-1] for slot in used] == [
        (rpc.PMAP, 2, UDP, 111, 0), (rpc.PMAP, 2, TCP, 111, 0),
        (PROG + 2, 3, UDP, port, 2**32 - 1), (PROG + 3, 1, TCP, port, 0),
        (PROG + 1, 2, TCP, port - 1, NOBODY)]
    daemon.expect("refused ", "replaced ")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_restart_keeps_map_order_and_owners(host, port, daemon, start, how):
    with host.local() as root, host.local(1001) as user, \
            host.udp(uid=1001) as anon:
        for i in range(50):
            (root, user, anon)[i % 3].set(PROG + i * 7 % 50, 1,
                                          (UDP, TCP)[i % 2], port)
        root.unset(PROG + 3, 1)
    before = dump(host)
    assert len(before) == 49
    for _ in range(3):
        if how == signal.SIGKILL:
            daemon.kill()
        else:
            daemon.stop()
        daemon = start(host)
        daemon.expect("refused ")
        assert dump(host) == before
    with host.local() as root, host.local(1001) as user, \
            host.local(1002) as other, host.udp(uid=1001) as anon:
        for prog, vers, prot, _ in before:
            i = next(i for i in range(50) if PROG + i * 7 % 50 == prog)
            owner = (root, user, anon)[i % 3]
            for c in (other, user, anon):
                if c is owner:
                    # dozens of searches: it may have to wait for a while
                    until(lambda: c.unset(prog, vers) == 1)
                    break
                assert c.unset(prog, vers) == 0
            else:
                assert root.unset(prog, vers) == 1


def test_what_root_has_displaced_stays_away(host, port, daemon, start):
    """Also other versions and protocols of the program."""
    with host.local() as root, host.local(1001) as user:
        for vers, prot in ((1, UDP), (2, UDP), (1, TCP)):
            assert user.set(PROG, vers, prot, port) == 1
        assert root.set(PROG, 1, UDP, port) == 1
    daemon.expect("replaced ")
    for _ in range(2):
        assert dump(host) == [(PROG, 1, UDP, port)]
        daemon = restart(daemon, start, host)


def test_restart_works_at_once_with_old_connections(host, port, daemon, start):
    with host.local() as c:
        c.set(PROG, 1, TCP, port)
    for _ in range(3):
        clients = [host.tcp() for _ in range(20)]
        for c in clients:
            c.null()
        daemon.kill()  # its side closes first: TIME_WAIT is ours
        daemon = start(host)
        for c in clients:
            c.sock.close()
        assert dump(host) == [(PROG, 1, TCP, port)]


@pytest.mark.slow
def test_a_storm_of_sets_killed_at_random(host, port, start):
    """What got the reply TRUE comes back, and at most the calls without a reply
    after it."""
    dice = random.Random(4711)
    rounds = 20 if SANITIZED else 200
    for n in range(rounds):
        host.run(["rm", "-f", FILE])
        daemon = start(host)
        acknowledged = 0
        with host.local(1001 if n % 2 else 0) as c:
            most = 250 if n % 2 else 2000
            window = dice.choice((1, 1, 8, 64))
            calls = [rpc.record(rpc.call(rpc.SET, rpc.mapping(
                PROG + i, i % 5, UDP, port))) for i in range(most)]
            moment = dice.randrange(1, most - window)
            sent = 0
            with contextlib.suppress(EOFError, ConnectionResetError):
                while True:
                    while sent < most and sent - acknowledged < window:
                        # replies sent before its end are still to be read
                        with contextlib.suppress(BrokenPipeError):
                            c.sock.sendall(calls[sent])
                        sent += 1
                    if acknowledged == moment:
                        daemon.process.kill()
                    reply = c.reply()
                    assert reply.body == rpc.words(1)
                    acknowledged += 1
        daemon.process.wait()
        daemon = start(host)
        entries = dump(host)
        assert entries == [(PROG + i, i % 5, UDP, port)
                           for i in range(len(entries))]
        assert acknowledged <= len(entries) <= acknowledged + window
        if entries:
            daemon.expect("refused ")
            with host.local(1002) as other, host.local(1001) as owner:
                assert other.unset(entries[-1][0], entries[-1][1]) == 0
                assert owner.unset(*entries[-1][:2]) == n % 2
        daemon.stop()


def test_servers_are_found_again_untouched(host, start):
    daemon = start(host)
    server = host.popen([host.copy(INTEROP / "server"), "pmap_set", "0x20000099",
                         "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    host.prepare_statd()
    statd = host.popen(["rpc.statd", "-F", "-P", "/run/statd"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server.stdout.readline()
        until(lambda: len(dump(host)) == 4)
        before = dump(host)
        daemon = restart(daemon, start, host)
        assert dump(host) == before
        for prog, vers in ((0x20000099, 3), (100024, 1)):
            for way in "-u", "-t":
                assert "ready and waiting" in host.run(
                    ["rpcinfo", way, "127.0.0.1", str(prog), str(vers)])
        # killed, it is gone from the map after HUP, and can come again
        statd.kill()
        statd.wait()
        daemon.send(signal.SIGHUP)
        daemon.expect_line(r"stale prog=100024 vers=1 prot=17 port=\d+ "
                           "owner=123")
        daemon.expect_line(r"stale prog=100024 vers=1 prot=6 port=\d+ "
                           "owner=123")
        assert {e[0] for e in dump(host)} == {0x20000099}
        # and one that is killed can register again without UNSET or HUP
        server.kill()
        server.wait()
        with host.local() as c:
            assert c.set(0x20000099, 3, UDP, 5000) == 1
        daemon.expect_line("replaced prog=536871065 ")
    finally:
        for p in (server, statd):
            p.kill()
            p.wait()
        server.stdin.close()
        server.stdout.close()


def test_dead_entries_at_load_and_k(host, port, start):
    daemon = start(host)
    with host.local() as c:
        c.set(PROG, 1, UDP, port)
        c.set(PROG, 2, UDP, 1)
        c.set(PROG, 3, TCP, 1)
    entries = dump(host)
    daemon = restart(daemon, start, host, "-k")
    assert dump(host) == entries
    daemon.send(signal.SIGHUP)
    daemon.expect("refused ")
    with host.local() as c:
        assert c.set(PROG, 2, UDP, 2) == 0, "kept"
    daemon = restart(daemon, start, host)
    daemon.expect_line(f"stale prog={PROG} vers=2 prot=17 port=1 owner=0")
    daemon.expect_line(f"stale prog={PROG} vers=3 prot=6 port=1 owner=0")
    assert dump(host) == [(PROG, 1, UDP, port)]
    # the file has the removals, too
    daemon = restart(daemon, start, host, "-k")
    assert dump(host) == [(PROG, 1, UDP, port)]


def test_k_counts_every_port_as_in_use(host, start):
    """The server of the entry may be in another network namespace."""
    daemon = start(host, "-k")
    daemon.expect("refused proc=set .*reason=(program|owner|bound)")
    with host.local(1001) as a, host.local(1002) as b:
        assert a.set(PROG, 1, UDP, 5000) == 1
        assert a.set(PROG, 1, UDP, 5001) == 0
        for vers, port in ((1, 5000), (1, 5001), (2, 5000)):
            assert b.set(PROG, vers, UDP, port) == 0
        assert a.dump()[2:] == [(PROG, 1, UDP, 5000)]


def test_another_user(host, port, start):
    daemon = start(host)
    for uid, args in ((65534, ["-u", "nobody"]), (0, ["-u", "root"]),
                      (1234, ["-u", "1234"]), (1, [])):
        with host.local() as c:
            c.set(PROG + uid, 1, UDP, port)
        before = dump(host)
        daemon = restart(daemon, start, host, *args)
        assert dump(host) == before


@pytest.mark.needs("several users")
def test_started_by_systemd_and_then_by_root(host, port, start):
    """Who starts it as a user owns the directory and the file; then root."""
    host.run(["install", "-d", "-o", "daemon", "/run/portmap"])
    file = host.path(FILE)
    file.write_bytes(contents((PROG, 1, UDP, port, 0)))
    os.chown(file, 1, 1)
    file.chmod(0o600)
    daemon = start(host)
    assert dump(host) == [(PROG, 1, UDP, port)]
    with host.local() as c:
        c.set(PROG + 1, 1, UDP, port)
    restart(daemon, start, host)
    assert len(dump(host)) == 2


@pytest.mark.parametrize("kind, prot", [(DGRAM, UDP),
                                        (socket.SOCK_STREAM, TCP)])
def test_a_sweep_sees_a_server_at_any_address(host, daemon, kind, prot):
    """127.5.5.5 is no address of an interface."""
    with host.bound(kind, addr="127.5.5.5") as s, host.local() as c:
        assert c.set(PROG, 1, prot, s.getsockname()[1]) == 1
        assert c.set(PROG, 2, prot, 1) == 1
        daemon.send(signal.SIGHUP)
        daemon.expect_line("stale .* vers=2 ")
        assert c.getport(PROG, 1, prot) == s.getsockname()[1]



# Files that somebody else has made, or that are not complete.

@pytest.fixture
def with_file(host, start):
    """Start with this in the file's place."""
    need_uid(1)

    def begin(content, owner=0, mode=0o600, **kw):
        path = host.path(FILE)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        if not path.is_symlink():
            os.chown(path, owner, owner)
            os.chmod(path, mode)
        daemon = start(host, **kw)
        with host.udp() as c:
            c.null()
        return daemon
    return begin


def test_a_good_one(host, port, with_file):
    with_file(contents((PROG, 1, UDP, port, 0), (PROG + 1, 2, UDP, port, 1001)))
    assert dump(host) == [(PROG, 1, UDP, port), (PROG + 1, 2, UDP, port)]


GOOD = contents((PROG, 1, UDP, 111, 0))
BAD = {
    "noise": (random.Random(1).randbytes(SIZE), {}, "written before"),
    "zeroes": (bytes(SIZE), {}, "written before"),
    "empty": (b"", {}, "of the wrong size"),
    "truncated": (GOOD[:-1], {}, "of the wrong size"),
    "too long": (GOOD + b"x", {}, "of the wrong size"),
    "of another boot": (GOOD.replace(boot_id().encode(), b"x" * 36), {},
                        "written before the last boot"),
    "a symbolic link": (lambda p: p.symlink_to("/etc/passwd"), {},
                        "Too many levels"),
    "a directory": (lambda p: p.mkdir(), {"mode": 0o700}, "Is a directory"),
    "a FIFO": (os.mkfifo, {}, "not a regular file"),
    "a device": (lambda p: os.mknod(p, 0o600 | 0o020000, os.makedev(1, 5)), {},
                 "not a regular file"),
    "of another uid": (GOOD, {"owner": 1234}, "owned by another user"),
    "writable by the group": (GOOD, {"mode": 0o620}, "other users can open it"),
    "readable by all": (GOOD, {"mode": 0o604}, "other users can open it"),
    "two names": (lambda p: (p.write_bytes(GOOD), os.link(
        p, p.parent / "other")), {}, "more than one hard link"),
}


@pytest.mark.parametrize("what", [
    pytest.param(what, marks=pytest.mark.needs("the right to make devices"))
    if what == "a device" else what for what in BAD])
def test_one_that_is_not_trusted(host, port, start, with_file, what):
    """One warning, and it starts without, with a good file if it can."""
    content, how, fault = BAD[what]
    daemon = with_file(content, **how)
    daemon.expect_line(f"mappings of an earlier process: {fault}")
    assert dump(host) == []
    with host.local() as c:
        assert c.set(PROG, 1, UDP, port) == 1
    if what == "a directory":
        daemon.expect_line("cannot create the file of the mappings: ")
        return
    assert len(daemon.lines()) == 2
    restart(daemon, start, host)
    assert dump(host) == [(PROG, 1, UDP, port)]


def test_one_bad_slot_loses_no_other(host, port, with_file):
    def slot(order, entry, used=1):
        return SLOT.pack(order, *entry, used)
    daemon = with_file(contents(
        slot(9, (PROG, 9, UDP, port, 0)), slot(5, (PROG, 1, UDP, 70000, 0)),
        slot(4, (PROG, 2, 5, port, 0)), slot(3, (100003, 3, UDP, 600, 1001)),
        slot(2, (PROG, 3, UDP, port, 0), 0), slot(8, (rpc.PMAP, 2, TCP, 5, 0)),
        # killed after the new one was complete
        slot(6, (PROG, 4, UDP, 7, 0)), slot(7, (PROG, 4, UDP, port, 0))))
    assert dump(host) == [(PROG, 4, UDP, port), (PROG, 9, UDP, port)]
    for prog, vers, reason in ((100003, 3, "protected"), (PROG, 2, "range"),
                               (PROG, 1, "range")):
        daemon.expect_line(f"skipped prog={prog} vers={vers} .*reason={reason}")
    # nor does it take its place
    with host.local() as c:
        assert all(c.set(PROG + 1 + i, 1, UDP, port) for i in range(10))
    assert len(dump(host)) == 12


def test_one_with_a_full_table(host, port, start, with_file):
    """A million entries would not fit; those beyond a quota are left out."""
    daemon = with_file(contents(*(
        (i, 1, UDP, port, 1001 if i < 1000 else 0) for i in range(16386))))
    daemon.expect("skipped .* reason=quota", "suppressed ", "stale ")
    entries = dump(host)
    assert len(entries) == 16386 - 1000 + 256
    restart(daemon, start, host).expect("stale ")
    assert dump(host) == entries


# Disks.

@pytest.fixture
def small_disk(host):
    """The run directory on a file system of its own."""
    path = host.path("/run/portmap")
    path.mkdir()
    host.run(["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs",
              "/run/portmap"])
    return path


def fill(host):
    host.run(["sh", "-c", "cat /dev/zero > /run/portmap/filler; true"])


def test_a_disk_that_is_full_later_does_not_matter(host, port, small_disk,
                                                   start):
    daemon = start(host)
    fill(host)
    with host.local() as c:
        assert all(c.set(PROG + i, 1, UDP, port) for i in range(2000))
    before = dump(host)
    assert len(before) == 2000
    # nor does it if the file is there
    restart(daemon, start, host)
    assert dump(host) == before


def test_started_with_a_disk_that_is_full(host, port, small_disk, start):
    fill(host)
    daemon = start(host)
    daemon.expect_line("cannot create the file of the mappings: "
                       "No space left on device: a restart loses them")
    with host.local() as c:
        assert c.set(PROG, 1, UDP, port) == 1
    assert dump(host) == [(PROG, 1, UDP, port)]
    small_disk.joinpath("filler").unlink()
    daemon = restart(daemon, start, host)
    with host.local() as c:
        assert c.set(PROG, 1, UDP, port) == 1
    restart(daemon, start, host)
    assert dump(host) == [(PROG, 1, UDP, port)]


@pytest.mark.parametrize("size", [0, 4096])
def test_root_truncates_the_file(host, port, start, size):
    """Nothing is lost before a restart, and then what root has taken."""
    daemon = start(host)
    with host.local() as c:
        for i in range(300):
            assert c.set(PROG + i, 1, UDP, port) == 1
        host.run(["truncate", "-s", str(size), FILE])
        for i in range(300, 600):
            assert c.set(PROG + i, 1, UDP, port) == 1
        assert c.unset(PROG + 5, 1) == 1
    daemon.expect_line("the file of the mappings was truncated")
    assert len(dump(host)) == 599
    assert len(daemon.lines()) == 2
    daemon = restart(daemon, start, host)
    daemon.expect_line("mappings of an earlier process: of the wrong size")


def test_no_write_access_to_run(host, port, start):
    host.run(["mount", "-o", "remount,ro", "/run"])
    daemon = start(host)
    daemon.expect_line("no files in /run/portmap: Read-only file system")
    daemon.expect_line("cannot listen on /run/rpcbind.sock: ")
    with host.udp(uid=1001) as c:
        assert c.set(PROG, 1, UDP, port) == 1
        assert c.getport(PROG, 1, UDP) == port


# What it costs.

@pytest.mark.plain
def test_system_calls_of_set_do_not_depend_on_the_table(
        host, port, daemon, tmp_path):
    counts = []
    with host.local() as c:
        for base in (0, 10000):
            for i in range(base):
                c.set(PROG + 1000 + i, 1, UDP, port)
            out = tmp_path / f"strace{base}"
            with traced(daemon, out, "-e", WITHOUT_DEBT):
                for i in range(100):
                    assert c.set(PROG + i, 1 + base, UDP, port) == 1
            counts.append(len(out.read_text().splitlines()))
    assert abs(counts[0] - counts[1]) <= 2, counts
    assert counts[0] <= 310  # select, read and send


# The utilities.

TOOLS = {name: str(BUILD / name) for name in ("pmap_dump", "pmap_set")}
REFUSED = "refused (see `journalctl -u portmap`)"


def test_pmap_dump_prints_what_rpcinfo_prints(host, port, daemon):
    with host.local() as c:
        for e in ((100003, 3, TCP, 2049), (100005, 1, UDP, port),
                  (0xffffffff, 0xffffffff, TCP, 1), (1, 1, UDP, 65535)):
            assert c.set(*e) == 1
    expected = host.run(["rpcinfo", "-p", "127.0.0.1"])
    # where `long` has 32 bits, rpcinfo takes these for negative
    expected = expected.replace(f"{-1:10}{-1:5}", 2 * "4294967295")
    assert "nfs" in expected and "mountd" in expected
    assert "42949672954294967295" in expected
    for args in ([], ["-p"], ["127.0.0.1"], ["-p", "127.0.0.1"]):
        assert host.run([TOOLS["pmap_dump"], *args]) == expected


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16, 17, 1000])
def test_pmap_dump_of_many(host, daemon, count):
    """libtirpc's own decoder of the list frees it wrongly (1.3.7)."""
    with host.local() as c:
        for i in range(count):
            assert c.set(PROG + i, 1, UDP, 5000) == 1
    lines = host.run([TOOLS["pmap_dump"]]).splitlines()
    assert [int(line.split()[0]) for line in lines[3:]] == \
        [PROG + i for i in range(count)]


def test_pmap_dump_failures(host):
    code, out = host.run([TOOLS["pmap_dump"]], check=False)
    assert code == 1 and "127.0.0.1: RPC: " in out and "Connection refused" in out
    code, out = host.run([TOOLS["pmap_dump"], "no.such.host.invalid"],
                         check=False)
    assert code == 1 and "no.such.host.invalid" in out
    for args in (["-x"], ["a", "b"], ["-f"], ["-f", "a", "b"]):
        code, out = host.run([TOOLS["pmap_dump"], *args], check=False)
        assert code == 2 and "usage: pmap_dump" in out


def test_pmap_dump_of_the_file(host, daemon):
    """Whether the daemon runs or not; in order of registration."""
    with host.local() as c:
        for i in range(5):
            assert c.set(PROG + i, 1, UDP, 5000 + i) == 1
        assert c.unset(PROG + 1, 1) == 1  # the next takes its slot
        assert c.set(PROG + 7, 1, TCP, 5007) == 1
    header, *lines = host.run([TOOLS["pmap_dump"]]).splitlines()
    for _ in range(2):
        found = host.run([TOOLS["pmap_dump"], "-f", FILE]).splitlines()
        assert (found[0], sorted(found[1:3]), found[3:]) == \
            (header, sorted(lines[:2]), lines[2:])
        daemon.kill()
    host.path("/run/other").write_text("portmap 1\n" + 100 * "x")
    for file, says in (("/run/other", "not a file of portmap's"),
                       ("/run/nothing", "No such file or directory"),
                       ("/dev/null", "not a file of portmap's")):
        assert host.run([TOOLS["pmap_dump"], "-f", file], check=False) == \
            (1, f"pmap_dump: {file}: {says}\n")


@pytest.mark.parametrize("args, says", [
    (["pmap_dump"], "pmap_dump: 127.0.0.1: RPC: "),
    # libtirpc does not tell this from a refusal; from 1.3.5 on, it reports that
    # nobody listens at the abstract name
    (["pmap_set", "-k"], "line 1: program 1 version 1: "),
    (["pmap_set", "-u", "1", "1"], "pmap_set: program 1 version 1: ")])
def test_a_port_mapper_that_hangs_up(host, args, says):
    tcp = host.bound(socket.SOCK_STREAM, 111)
    local = socket.socket(socket.AF_UNIX)
    local.bind(f"/proc/{host.pid}/root/run/rpcbind.sock")
    local.listen()
    with (tcp if args[0] == "pmap_dump" else local) as listener:
        def hang_up():
            with contextlib.suppress(OSError):
                while True:
                    s, _ = listener.accept()
                    s.recv(4)
                    s.close()
        thread = threading.Thread(target=hang_up)
        thread.start()
        try:
            code, out = host.run([TOOLS[args[0]], *args[1:]], check=False,
                                 input="1 1 udp 5000\n")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
        assert code == 1 and says in out, out
    tcp.close()
    local.close()


def test_pmap_set_reads_what_pmap_dump_prints(host, port, daemon, start):
    entries = [(PROG + i, 1 + i % 3, (TCP, UDP)[i % 2], port)
               for i in range(20)]
    with host.local() as c:
        for e in entries:
            c.set(*e)
    printed = host.run([TOOLS["pmap_dump"]])
    daemon.stop()
    host.run(["rm", "-f", FILE])
    daemon = start(host)
    assert dump(host) == []
    assert host.run([TOOLS["pmap_set"]], input=printed) == ""
    assert dump(host) == entries
    # again: all of it is there
    assert host.run([TOOLS["pmap_set"]], input=printed) == ""


@pytest.mark.parametrize("kind, prot", [(socket.SOCK_STREAM, TCP),
                                        (socket.SOCK_DGRAM, UDP)])
@pytest.mark.parametrize("uid, other", [(0, 1001), (1001, 1002), (1002, 1001)])
def test_pmap_set_registers_for_who_holds_the_port(host, daemon, kind, prot,
                                                   uid, other):
    """Else rpc.statd could not register when it is restarted."""
    daemon.expect("refused ")
    with host.bound(kind, uid=uid) as server:
        port = server.getsockname()[1]
        # another user's entry before and after it, and then its own again
        with host.bound(kind, uid=other) as second:
            text = "".join(f"{PROG + i} 1 {prot} {s.getsockname()[1]}\n"
                           for i, s in enumerate((second, server, second)))
            assert host.run([TOOLS["pmap_set"]], input=text) == ""
        assert len(dump(host)) == 3
        with host.local(other) as c:
            assert c.unset(PROG + 1, 1) == (other == 0)
        with host.local(uid) as c:
            assert c.set(PROG + 1, 1, prot, port) == 1
            assert c.unset(PROG + 1, 1) == 1
            assert c.unset(PROG, 1) == (uid == 0)


def test_pmap_set_leaves_out_what_nobody_listens_at(host, port, daemon):
    text = (f"{PROG} 1 udp {port}\n{PROG + 1} 2 udp 5000\n"
            f"{PROG} 3 tcp {port}\n")
    assert host.run([TOOLS["pmap_set"]], input=text) == \
        f"pmap_set: line 2: program {PROG + 1} version 2: left out: no " \
        "socket is bound to port 5000\n"
    assert dump(host) == [(PROG, 1, UDP, port), (PROG, 3, TCP, port)]
    # servers of another network namespace, for portmap -k
    assert host.run([TOOLS["pmap_set"], "-k"], input=text) == ""
    assert (PROG + 1, 2, UDP, 5000) in dump(host)


def test_pmap_set_says_what_failed_and_why(host, daemon, start):
    with host.bound(DGRAM) as s:
        says_what_failed(host, daemon, s.getsockname()[1])


def says_what_failed(host, daemon, port):
    daemon.expect("refused ")
    with host.local() as c:
        c.set(PROG, 1, UDP, port)
    text = (f"   program vers proto   port  service\n\n"
            f"100000 4 tcp 111 portmapper\n{PROG} 1 udp 5000\n"
            f"{PROG} 2 udp 5002 name\n{PROG} 3 xyz 5003\n{PROG} 4 tcp\n"
            f"{PROG} 5 tcp 70000\n{PROG} 6 6 5006\n-1 1 udp 5\n")
    code, out = host.run([TOOLS["pmap_set"], "-k"], check=False, input=text)
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == f"pmap_set: line 4: program {PROG} version 1: {REFUSED}"
    for n, line in zip((6, 7, 8, 10), lines[1:], strict=True):
        assert f"line {n}: not a mapping" in line
    assert dump(host) == [(PROG, 1, UDP, port), (PROG, 2, UDP, 5002),
                          (PROG, 6, TCP, 5006)]
    code, out = host.run([host.copy(TOOLS["pmap_set"]), "-k"], check=False,
                         input=f"{PROG} 9 udp 600\n", uid=NOBODY)
    assert code == 1 and REFUSED in out
    code, out = host.run([TOOLS["pmap_set"], "-k"], check=False,
                         input=f"{PROG} 9 7 5009\n")
    assert code == 1 and REFUSED in out
    code, out = host.run([TOOLS["pmap_set"]], check=False, input="\n")
    assert (code, out) == (1, "pmap_set: no mappings on standard input\n")
    code, out = host.run(["sh", "-c", f"{TOOLS['pmap_set']} < /"], check=False)
    assert (code, out) == (1, "pmap_set: standard input: Is a directory\n")


def test_pmap_set_u(host, daemon):
    daemon.expect("refused ")
    with host.local() as c:
        c.set(PROG, 1, UDP, 5000)
        c.set(PROG, 1, TCP, 5000)
    code, out = host.run([host.copy(TOOLS["pmap_set"]), "-u", PROG, "1"],
                         check=False, uid=NOBODY)
    assert (code, out) == (
        1, f"pmap_set: program {PROG} version 1: {REFUSED}\n")
    host.run([TOOLS["pmap_set"], "-u", PROG, "1"])
    assert dump(host) == []
    for args in (["-u"], ["-u", "1"], ["-u", "x", "1"], ["x"], ["-x"],
                 ["-u", "1", "2", "3"], ["-k", "-u", "1", "1"]):
        code, out = host.run([TOOLS["pmap_set"], *args], check=False)
        assert code == 2 and "usage:" in out
    daemon.stop()
    for args in (["-u", "1", "1"], ["-k"]):
        code, out = host.run([TOOLS["pmap_set"], *args], check=False,
                             input="1 1 udp 5000\n")
        assert code == 1 and "is portmap running?: RPC: " in out


@contextlib.contextmanager
def rpcbind(host):
    host.prepare_rpcbind()
    with host.popen(["rpcbind", "-f"], stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL) as p:
        try:
            until(lambda: host.run(["rpcinfo", "-p"], check=False)[0] == 0)
            yield
        finally:
            p.terminate()
            p.wait(10)


def test_carry_over_from_rpcbind_and_back(host, port, start):
    """With the very commands of README and the manual."""
    readme = (pathlib.Path(__file__).parents[2] / "README").read_text()
    commands = ["rpcinfo -p 127.0.0.1 > /run/mappings",
                "pmap_set < /run/mappings", "pmap_dump > /run/mappings"]
    for command in commands:
        assert re.search(rf"^    (sudo )?.*{command}", readme, re.M), command
    path = f"PATH={BUILD}:$PATH; "
    entries = [(PROG, 1, UDP, port), (PROG, 1, TCP, port),
               (PROG + 1, 3, TCP, port)]
    with rpcbind(host):
        with rpc.Client(host.socket(
                socket.AF_UNIX, socket.SOCK_STREAM,
                connect=f"/proc/{host.pid}/root/run/rpcbind.sock")) as c:
            for e in entries:
                assert c.set3(e[0], e[1], {UDP: "udp", TCP: "tcp"}[e[2]],
                              rpc.uaddr(e[3])) == 1
        host.run(["sh", "-c", path + commands[0]])
    daemon = start(host)
    missing = re.search(r"^    (.* grep .* /run/mappings)$", readme, re.M)[1]
    assert len(host.run(["sh", "-c", path + missing]).splitlines()) == 7
    host.run(["sh", "-c", path + commands[1]])
    assert dump(host) == entries
    assert {tuple(line.split()[:2]) for line in host.run(
        ["sh", "-c", path + missing]).splitlines()} == \
        {("100000", "3"), ("100000", "4")}
    host.run(["sh", "-c", path + commands[2]])
    daemon.stop()
    host.path("/run/rpcbind.sock").unlink()
    with rpcbind(host):
        host.run(["sh", "-c", path + commands[1]])
        with host.udp() as c:
            for e in entries:
                assert c.getport(*e[:3]) == e[3]
