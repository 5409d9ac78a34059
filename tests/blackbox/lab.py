# SPDX-License-Identifier: BSD-2-Clause
"""Hosts to test in, each with namespaces of its own (tests/sandbox), and the
daemon under test."""
import contextlib
import os
import pathlib
import re
import runpy
import shutil
import signal
import socket
import subprocess
import time
import traceback
import types

import rpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
# a valgrind run (make valgrind), in which nobody gets into debt (debt.h)
VALGRIND = "VALGRIND" in os.environ
LEAKS = "definite,indirect,possible"
INTEROP = ROOT / "build" / "interop"
UNDER_VALGRIND = [
    "env", "REFUSE=cputime", f"LD_PRELOAD={INTEROP}/refuse.so",
    "valgrind", "-q", "--vgdb=no", "--error-exitcode=99", "--leak-check=full",
    f"--show-leak-kinds={LEAKS}", f"--errors-for-leak-kinds={LEAKS}"]
# the build of `make coverage`
COVERAGE = BUILD.name == "build-cov"
# what is slow judges correctness only
SANITIZED = BUILD.name == "build-san" or VALGRIND or COVERAGE
# sanitizers, valgrind and gcov need more system calls and files
NO_SANDBOX = ["-S"] if SANITIZED else []
# LeakSanitizer never ends in the sandbox, where some tests run the program
LEAK_CHECK = []
if BUILD.name == "build-san":
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    LEAK_CHECK = ["env", "ASAN_OPTIONS=detect_leaks=1"]
# a system call that the sandbox denies ends the daemon
STRICT = ["env", f"LD_PRELOAD={INTEROP}/strict.so"]
PATH = (f"{INTEROP}/usr/sbin:{INTEROP}/usr/bin:{INTEROP}/sbin:"
        f"{os.environ['PATH']}:/usr/sbin:/sbin")
PORTMAP = str(BUILD / "portmap")
NOBODY = 65534
# set by tests/run --offline: the reason why no test can run, or empty
OFFLINE = os.environ.get("OFFLINE")
ONE_UID = OFFLINE == "" and \
    pathlib.Path("/proc/self/uid_map").read_text().split()[2:] == ["1"]

sandbox = types.SimpleNamespace(**runpy.run_path(ROOT / "tests/sandbox"))


def need(available, what):
    """Leave a test out of tests/run --offline if it needs what is missing."""
    if OFFLINE is not None and not available:
        import pytest  # which other users of this file lack
        pytest.skip(what, allow_module_level=True)


def need_uid(*uids):
    need(not ONE_UID or not any(uids), "needs several users (package uidmap, "
         "and subordinate uids in /etc/subuid)")


def need_program(name):
    need(shutil.which(name, path=PATH), f"needs {pathlib.Path(name).name}, "
         "which is not installed and not in build/interop")


class TooSlow(AssertionError):
    """What has been measured depends on this machine, too: tests/run measures
    again, and a defect is seen each time."""


may_judge_time = True  # whether this test has the marker `slow`


def judge_time():
    """Called by what can be TooSlow: other tests run beside quick ones."""
    assert may_judge_time, "a test that measures time has to be marked slow"


@contextlib.contextmanager
def within(seconds):
    """The block takes less time than this."""
    judge_time()
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    if took >= seconds:
        raise TooSlow(f"it took {took:.2f} s")


def until(condition, seconds=10, what="condition"):
    """Wait for something to become true, and fail when it does not."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.005)


@contextlib.contextmanager
def as_uid(uid):
    """What is connected in here is connected by that uid."""
    need_uid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def make(tree, *args):
    # not with the variables of the make that runs these tests
    env = {k: v for k, v in os.environ.items() if "MAKE" not in k}
    done = subprocess.run(["make", "-s", "-C", tree, *args], text=True, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


def copy_tree(to):
    shutil.copytree(ROOT, to, ignore=lambda d, names: [
        n for n in names if n.startswith("build") or n == ".git"])
    return to


def status(pid):
    """What the kernel says about a process, by name: proc(5)."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def refusing(what):
    """The command before one for which calls fail: tests/interop/refuse.c."""
    return ["env", f"LD_PRELOAD={INTEROP}/refuse.so", f"REFUSE={what}",
            "ASAN_OPTIONS=verify_asan_link_order=0"]


WITHOUT_PASSRIGHTS = refusing("passrights")


# A script: fd is a TCP socket that waits when it is closed by its last holder
# (SO_LINGER), u a connection to the local socket to send it by.
LINGERING = """
import struct
l = socket.socket()
l.bind(("127.0.0.1", 0))
l.listen(1)
a = socket.socket()
a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 9))
a.connect(l.getsockname())
b, _ = l.accept()
a.setblocking(False)
try:
    while True:
        a.send(b"x" * 65536)
except BlockingIOError:
    pass
u = socket.socket(socket.AF_UNIX)
u.connect("/run/rpcbind.sock")
fd = a.detach()
"""


def _be_host(end):
    """What a process does that is a host, until this socket is closed."""
    status = 1
    try:
        os.dup2(end, 0)
        os.dup2(end, 1)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        status = sandbox.run(["sh", "-c", "echo $$; exec cat"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class Host:
    def __init__(self):
        self._socket, end = socket.socketpair()
        # to start another Python would take five times as long
        self._process = os.fork()
        if self._process == 0:
            _be_host(end.fileno())
        end.close()
        self.pid = int(self._socket.recv(20))
        self._proc = f"/proc/{self.pid}"
        self._net = os.open(f"{self._proc}/ns/net", os.O_RDONLY)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)

    def close(self):
        self._socket.close()
        os.waitpid(self._process, 0)
        for fd in (self._net, self._home):
            os.close(fd)

    def popen(self, args, uid=None, gid=None, before=None, **kw):
        args = [str(a) for a in args]
        need_uid(uid, gid)
        if "/" not in args[0]:
            need_program(args[0])
        # a Popen with preexec_fn would fork, which is slower than to exec twice
        enter = ["nsenter", f"--net={self._proc}/ns/net",
                 f"--mount={self._proc}/ns/mnt", f"--root={self._proc}/root",
                 f"--wd={self._proc}/root"]
        if uid is not None and not ONE_UID:
            enter += [f"--setuid={uid}",
                      f"--setgid={uid if gid is None else gid}"]
        return subprocess.Popen([*enter, "--", *args], preexec_fn=before,
                                env=dict(os.environ, PATH=PATH), **kw)

    def run(self, args, check=True, timeout=60, input=None, **kw):
        """Run to the end; stdout and stderr together as text."""
        with self.popen(args, stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, text=True,
                        stdin=subprocess.PIPE if input is not None
                        else subprocess.DEVNULL, **kw) as p:
            out = ""
            try:
                out, _ = p.communicate(input, timeout)
            except subprocess.TimeoutExpired:
                p.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    # a child of it may still hold the pipe
                    out, _ = p.communicate(timeout=5)
                raise AssertionError(f"{args} did not end: {out}") from None
        if check:
            assert p.returncode == 0, f"{args}: {p.returncode}: {out}"
            return out
        return p.returncode, out

    def path(self, path):
        return pathlib.Path(f"{self._proc}/root{path}")

    @contextlib.contextmanager
    def net(self):
        """Sockets made in here are this host's."""
        sandbox.set_net(self._net)
        try:
            yield
        finally:
            sandbox.set_net(self._home)

    def socket(self, family, kind, bind=None, connect=None, uid=0,
               proto=0):
        with self.net(), as_uid(uid):
            sock = socket.socket(family, kind, proto)
            sock.settimeout(5)
            try:
                if bind is not None:
                    sock.bind(bind)
                if connect is not None:
                    sock.connect(connect)
            except BaseException:
                sock.close()
                raise
        return sock

    def copy(self, program):
        """A copy that every user can reach, wherever the tree may be."""
        path = f"/run/{pathlib.Path(program).name}"
        shutil.copy(program, self.path(path))
        return path

    def sysctl(self, name, value):
        self.run(["sh", "-c",
                  f"echo {value} > /proc/sys/{name.replace('.', '/')}"])

    def own_etc(self):
        """An /etc that can be changed, and is no other host's."""
        self.run(["sh", "-c", "[ -e /run/etc ] || "
                  "{ cp -a /etc /run/etc; mount --bind /run/etc /etc; }"])

    def prepare_statd(self):
        """Its package would have made its state directory, and its user."""
        need_uid(123)
        state = self.path("/run/statd")
        for d in (state, state / "sm", state / "sm.bak",
                  self.path("/run/rpc")):
            d.mkdir()
            os.chown(d, 123, 123)

    def prepare_rpcbind(self):
        """Create the user that the package of rpcbind creates."""
        need_uid(107)
        self.own_etc()
        self.run(["sh", "-c", "grep -q ^_rpc: /etc/passwd || "
                  "echo _rpc:x:107:65534::/run:/bin/false >> /etc/passwd"])

    # the origins, as clients

    def udp(self, to="127.0.0.1", port=111, source=None, sport=0, uid=0):
        bind = (source or "0.0.0.0", sport) if source or sport else None
        return rpc.Client(self.socket(socket.AF_INET, socket.SOCK_DGRAM, bind,
                                      (to, port), uid))

    def tcp(self, to="127.0.0.1", port=111, source=None, sport=0, uid=0):
        bind = (source or "0.0.0.0", sport) if source or sport else None
        return rpc.Client(self.socket(socket.AF_INET, socket.SOCK_STREAM, bind,
                                      (to, port), uid))

    def local(self, uid=0):
        return rpc.Client(self.socket(
            socket.AF_UNIX, socket.SOCK_STREAM,
            connect="\0/run/rpcbind.sock", uid=uid))

    def privileged(self, client, **kw):
        """From a privileged source port."""
        for sport in range(700, 1023):
            try:
                return client(sport=sport, **kw)
            except OSError:
                continue
        raise AssertionError("no privileged port is free")

    def root_udp(self, **kw):
        return self.privileged(self.udp, **kw)

    def root_tcp(self, **kw):
        return self.privileged(self.tcp, **kw)

    def bound(self, kind, port=0, addr="0.0.0.0", uid=0):
        """A socket that is bound to a port, as a server's would be."""
        sock = self.socket(socket.AF_INET, kind, uid=uid)
        sock.bind((addr, port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        return sock


@contextlib.contextmanager
def running(host, *args):
    """A program that runs until the end of the block."""
    with host.popen(args, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL) as p:
        try:
            yield p
        finally:
            p.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(10)
            p.kill()  # rpc.statd can wait for the port mapper when it ends


def connect_hosts(a, b, net="192.168.77", names=("veth0", "veth0")):
    """A cable between two hosts, .1 and .2 of a /24."""
    subprocess.run(["ip", "link", "add", names[0], "netns", str(a.pid), "type",
                    "veth", "peer", "name", names[1], "netns", str(b.pid)],
                   check=True)
    for host, name, last in ((a, names[0], 1), (b, names[1], 2)):
        host.run(["ip", "addr", "add", f"{net}.{last}/24", "brd", "+", "dev",
                  name])
        host.run(["ip", "link", "set", name, "up"])
        host.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 1)


def connect_ipv6(a, b):
    """Give the ends of a cable fd00::1 and fd00::2, too."""
    for host, last in ((a, 1), (b, 2)):
        host.sysctl("net.ipv6.conf.veth0.disable_ipv6", 0)
        host.run(["ip", "addr", "add", f"fd00::{last}/64", "nodad", "dev",
                  "veth0"])


def reach_loopback(a, b):
    """Let b, a on-link host of a, reach 127.0.0.1 of a, as it can where
    route_localnet is set (kube-proxy does that)."""
    for h in (a, b):
        for iface in ("all", "veth0"):
            for name, value in (("route_localnet", 1), ("rp_filter", 0),
                                ("accept_local", 1)):
                h.sysctl(f"net.ipv4.conf.{iface}.{name}", value)
    mac = a.run(["ip", "-br", "link", "show", "veth0"]).split()[2]
    for net in ("127.0.0.1", "127.0.0.0/8"):
        b.run(["ip", "route", "del", "local", net, "dev", "lo", "table",
               "local"])
    b.run(["ip", "route", "add", "127.0.0.1/32", "via", "192.168.77.1", "dev",
           "veth0", "onlink", "src", "192.168.77.2"])
    b.run(["ip", "neigh", "replace", "192.168.77.1", "lladdr", mac, "dev",
           "veth0"])


EVENTS = """ready stopped listening call callit badcall refused replaced stale
    swept evicted debt denied skipped error suppressed verbose
    counters""".split()


def parse(line):
    """A line of the log: its event and its keys, {} for a sentence."""
    name, _, rest = line.removeprefix("portmap: ").partition(" ")
    if name not in EVENTS:
        assert re.match(r"[^=]+: |[A-Z_]+=", line), line
        return name, {}
    pairs = [word.partition("=") for word in rest.split(" ")]
    assert all(re.fullmatch(r"[a-z0-9_.]+", key) and equals and value
               for key, equals, value in pairs), line
    keys = {key: value for key, _, value in pairs}
    assert len(keys) == len(pairs), f"a key twice: {line}"
    return name, keys


class Portmap:
    """The daemon in the foreground, watched: it must end with status 0 and
    say nothing that the test did not expect."""

    def __init__(self, host, *args, foreground=True, log_dir=None, under=(),
                 **kw):
        need_uid("-u" in args and "root" not in args)
        self.host = host
        self.log = log_dir / f"portmap-{id(self)}.log"
        if VALGRIND and not under:
            under = UNDER_VALGRIND
        under = under or (LEAK_CHECK if SANITIZED else STRICT)
        self._expected = [r"ready ", r"stopped "]
        with open(self.log, "wb") as log:
            self.process = host.popen(
                [*under, PORTMAP] + (["-f"] if foreground else []) +
                NO_SANDBOX + list(args),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **kw)
        self.pid = self.process.pid

    def lines(self):
        return self.log.read_text().splitlines()

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("\n".join(self.lines()))
            return any(line.startswith("portmap: ready ")
                       for line in self.lines())
        until(ready, what="ready")
        return self

    def expect(self, *patterns):
        """These lines may be in the log."""
        self._expected += patterns

    def expect_line(self, pattern):
        """This line is in the log, or comes soon."""
        self._expected.append(pattern)
        return until(lambda: next((m for m in (
            re.match(f"portmap: {pattern}", line) for line in self.lines())
            if m), None), what=f"log line {pattern}")

    def send(self, sig):
        if sig == signal.SIGHUP:
            self.expect("swept ")
        self.process.send_signal(sig)

    def counters(self):
        n = len(self.lines())
        self.expect("counters ")
        self.send(signal.SIGUSR2)
        # the daemon may be writing the last line just now
        line = until(lambda: next((
            x for x in self.log.read_text().splitlines(True)[n:]
            if "counters" in x and x.endswith("\n")), None))
        return {k: int(v) for k, v in (p.split("=") for p in line.split()[2:])}

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            status = self.process.wait(60 if SANITIZED else 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("did not stop") from None
        text = "\n".join(self.lines())
        assert status == 0, f"exit status {status}: {text}"
        for line in self.lines():
            parse(line)
        unexpected = [line for line in self.lines() if not any(
            re.match(f"portmap: {p}", line) for p in self._expected)]
        assert not unexpected, unexpected

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    # what the kernel says about it

    def status(self):
        return status(self.pid)

    def rss(self):
        """KiB"""
        return int(self.status()["VmRSS"].split()[0])

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def lowest_free(self):
        """The descriptor that it gets next."""
        used = set(map(int, os.listdir(f"/proc/{self.pid}/fd")))
        return min(set(range(len(used) + 1)) - used)

    def cpu(self):
        """Seconds of CPU used so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text() \
            .rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def switches(self):
        """How often it has gone to sleep."""
        return int(self.status()["voluntary_ctxt_switches"])

    def rests(self):
        """Idle means idle: it uses no CPU, once it has done what there was."""
        def still():
            before = self.cpu()
            time.sleep(0.3)
            return self.cpu() - before <= 0.01
        until(still, 5, "idling")


# what strace leaves out: it takes long, so the daemon measures it (debt.h)
WITHOUT_DEBT = "!/^(clock_gettime|getcpu|pread64)"


@contextlib.contextmanager
def traced(daemon, out, *options):
    """strace follows the daemon."""
    need_program("strace")
    with subprocess.Popen(["strace", "-qq", "-f", "-p", str(daemon.pid),
                           "-o", out, *options]) as tracer:
        until(lambda: daemon.status()["TracerPid"] != "0")
        try:
            yield
        finally:
            tracer.terminate()
