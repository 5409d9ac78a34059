# SPDX-License-Identifier: BSD-2-Clause
"""make install and uninstall, and what they install."""
import contextlib
import os
import re
import signal
import socket
import subprocess

import pytest

import rpc
from lab import BUILD, NOBODY, ROOT, copy_tree, make, need_uid, until
from rpc import UDP

pytestmark = pytest.mark.plain
PROG = 300900
FLAGS = {"CFLAGS": "-g -O2 -fstack-protector-strong -Wformat "
                   "-Werror=format-security",
         "CPPFLAGS": "-Wdate-time -D_FORTIFY_SOURCE=2",
         "LDFLAGS": "-Wl,-z,relro -Wl,-z,now"}  # dpkg-buildflags'


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Built as a distribution would."""
    tree = copy_tree(tmp_path_factory.mktemp("build") / "portmap")
    make(tree, "all", *(f"{k}={v}" for k, v in FLAGS.items()))
    return tree


def files(directory):
    return {str(p.relative_to(directory)) for p in directory.rglob("*")
            if not p.is_dir()}


@pytest.mark.slow
@pytest.mark.parametrize("variables, expected", [
    ({}, {"usr/local/sbin/portmap", "usr/local/sbin/pmap_dump",
          "usr/local/sbin/pmap_set", "usr/local/share/man/man8/portmap.8",
          "usr/local/share/man/man8/pmap_dump.8",
          "usr/local/share/man/man8/pmap_set.8",
          "usr/local/share/man/man7/portmap.7",
          "usr/local/lib/systemd/system/portmap.service",
          "usr/local/lib/systemd/system/portmap.socket",
          "usr/local/lib/systemd/system/portmap-abstract.socket",
          "usr/local/lib/systemd/system/rpcbind.service",
          "usr/local/lib/systemd/system/rpcbind.socket",
          "usr/local/lib/systemd/system-generators/portmap-generator",
          "etc/init.d/portmap"}),
    ({"PREFIX": "/usr", "SBINDIR": "/sbin", "MANDIR": "/usr/man",
      "UNITDIR": "", "SYSVDIR": "/etc/rc.d"},
     {"sbin/portmap", "sbin/pmap_dump", "sbin/pmap_set",
      "usr/man/man8/portmap.8",
      "usr/man/man7/portmap.7", "usr/man/man8/pmap_dump.8",
      "usr/man/man8/pmap_set.8", "etc/rc.d/portmap"}),
    ({"PREFIX": "/usr", "SYSVDIR": "", "UNITDIR": "/lib/systemd/system",
      "RPCINFO": "yes"},
     {"usr/sbin/rpcinfo", "usr/bin/rpcinfo", "usr/share/man/man8/rpcinfo.8",
      "usr/sbin/portmap", "usr/sbin/pmap_dump", "usr/sbin/pmap_set",
      "usr/share/man/man8/portmap.8", "usr/share/man/man8/pmap_dump.8",
      "usr/share/man/man8/pmap_set.8",
      "usr/share/man/man7/portmap.7", "lib/systemd/system/portmap.service",
      "lib/systemd/system/portmap.socket",
      "lib/systemd/system/portmap-abstract.socket",
      "lib/systemd/system/rpcbind.service",
      "lib/systemd/system/rpcbind.socket",
      "lib/systemd/system-generators/portmap-generator"})])
def test_uninstall_removes_what_install_installs(tree, tmp_path, variables,
                                                 expected):
    x = tmp_path / "x"
    x.mkdir()
    args = [f"DESTDIR={x}", *(f"{k}={v}" for k, v in variables.items())]
    os.umask(0o077)
    try:
        make(tree, "install", *args)
    finally:
        os.umask(0o022)
    assert files(x) == expected
    for link in (p for p in map(x.joinpath, expected) if p.is_symlink()):
        assert os.readlink(link) == {"rpcinfo": "../sbin/rpcinfo"}.get(
            link.name, link.name.replace("rpcbind", "portmap"))
    for path in map(x.joinpath, expected):
        program = bool({"bin", "sbin", "init.d", "rc.d", "system-generators"}
                       & set(path.parts))
        assert path.stat().st_mode & 0o777 == (0o755 if program else 0o644)
        for parent in path.relative_to(x).parents[:-1]:
            assert (x / parent).stat().st_mode & 0o777 == 0o755
    make(tree, "uninstall", *args)
    assert list(x.iterdir()) == []


def test_uninstall_leaves_what_is_not_ours(tree, tmp_path):
    make(tree, "install", f"DESTDIR={tmp_path}")
    (tmp_path / "etc/init.d/other").write_text("")
    make(tree, "uninstall", f"DESTDIR={tmp_path}")
    assert files(tmp_path) == {"etc/init.d/other"}


def test_paths_and_user_of_the_units(tree, tmp_path):
    make(tree, "install", f"DESTDIR={tmp_path}", "SBINDIR=/opt/sbin",
         "RPCUSER=rpc")
    unit = (tmp_path / "usr/local/lib/systemd/system/portmap.service") \
        .read_text()
    script = (tmp_path / "etc/init.d/portmap").read_text()
    assert "\nExecStart=/opt/sbin/portmap -f" in unit
    assert "\nUser=rpc\n" in unit
    assert "\ndaemon=/opt/sbin/portmap\n" in script


@pytest.mark.parametrize("first_line, knows_it", [
    ("systemd 252 (252.39-1~deb12u1)", False), ("systemd 253", False),
    ("systemd 254 (254.1)", True), ("systemd 257 (257.9-1)", True),
    ("systemd 260~rc1", True), ("something else", False)])
def test_generator_adds_what_this_systemd_knows(tmp_path, first_line,
                                                knows_it):
    systemctl = tmp_path / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f"#!/bin/sh\necho '{first_line}'\necho +PAM +AUDIT\n")
    systemctl.chmod(0o755)
    subprocess.run(["sh", ROOT / "src/init/portmap.generator",
                    *(tmp_path / name for name in ("normal", "early", "late"))],
                   env={"PATH": f"{systemctl.parent}:/usr/bin:/bin"},
                   check=True)
    written = {path: (tmp_path / path).read_text() for path in
               files(tmp_path) - {"bin/systemctl"}}
    assert written == ({"normal/portmap.service.d/50-restart-mode.conf":
                        "[Service]\nRestartMode=direct\n"} if knows_it else {})


@pytest.mark.slow
def test_two_builds_are_the_same_bytes(tree, tmp_path):
    other = copy_tree(tmp_path / "another-place")
    for place in tree, other:
        make(place, "all", *(f"{k}={v}" for k, v in FLAGS.items()))
    for name in ("portmap", "pmap_dump", "pmap_set"):
        assert (tree / "build" / name).read_bytes() == \
            (other / "build" / name).read_bytes(), name


@pytest.mark.slow
def test_another_user_is_built_in(tree):
    for user in "nobody", "daemon":
        make(tree, "all", f"RPCUSER={user}",
             *(f"{k}={v}" for k, v in FLAGS.items()))
        usage = subprocess.run([tree / "build/portmap", "-h"], text=True,
                               stdout=subprocess.PIPE, check=True).stdout
        assert f"run as this user (default: {user})" in usage


@pytest.mark.slow
@pytest.mark.plain
def test_without_libseccomp(host, tree):
    make(tree, "SECCOMP=no", "BUILD=plain", "plain/portmap")
    with host.popen([tree / "plain/portmap", "-f"], text=True,
                    stderr=subprocess.PIPE) as p:
        line = p.stderr.readline()
        p.terminate()
    assert re.search(r"ready .* sandbox=(landlock|none)$", line)
    out = subprocess.run(["ldd", tree / "plain/portmap"], text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    assert "seccomp" not in out


@pytest.mark.parametrize("flags", ["ours", "dpkg's"])
@pytest.mark.parametrize("name", ["portmap", "pmap_dump", "pmap_set",
                                  "rpcinfo"])
def test_hardening(tree, name, flags):
    program = (ROOT if flags == "ours" else tree) / "build" / name
    out = subprocess.run(["readelf", "-W", "-h", "-l", "-d", "-s", program],
                         text=True, stdout=subprocess.PIPE,
                         check=True).stdout
    assert re.search(r"Type:\s+DYN ", out), "not PIE"
    assert "GNU_RELRO" in out
    assert re.search(r"FLAGS_1.*\bNOW\b.*\bPIE\b", out)
    assert re.search(r"GNU_STACK\s.*\sRW\s", out), "executable stack"
    assert "__stack_chk_fail" in out
    assert re.search(r"__(v?f?printf|v?snprintf|memcpy|fgets|read)_chk", out)
    assert set(re.findall(r"NEEDED.*\[(.*?)\.so", out)) == \
        {"libtirpc", "libc", *(["libseccomp"] if name == "portmap" else [])}


@pytest.mark.parametrize("systemd", [True, False])
def test_install_on_this_host(host, tree, systemd):
    """No script for SysV init under systemd, and what to do next."""
    host.own_etc()
    if systemd:
        host.path("/run/systemd/system").mkdir(parents=True)
    args = ["PREFIX=/run/usr", *(f"{k}={v}" for k, v in FLAGS.items())]
    out = host.run(["make", "-s", "-C", tree, "install", *args])
    assert host.path("/run/usr/sbin/portmap").exists()
    assert host.path("/etc/init.d/portmap").exists() != systemd
    assert "installed, and not started" in out
    assert "man /run/usr/share/man/man7/portmap.7" in out
    assert ("systemctl enable --now portmap.socket" in out) == systemd
    assert ("/etc/init.d/portmap start" in out) != systemd


@pytest.mark.slow
def test_the_release_is_the_same_bytes(tmp_path):
    """In every place, also in an unpacked release."""
    make(ROOT, "dist")
    first, = (ROOT / "build").glob("portmap-*.tar.gz")
    subprocess.run(["tar", "-C", tmp_path, "-xf", first], check=True)
    tree = tmp_path / first.name.removesuffix(".tar.gz")
    (tree / "tests/__pycache__").mkdir()
    (tree / "tests/__pycache__/x").write_text("x")
    os.umask(0o077)
    try:
        os.utime(tree / "README", (0, 0))
        make(tree, "dist")
    finally:
        os.umask(0o022)
    assert (tree / "build" / first.name).read_bytes() == first.read_bytes()
    make(tree, "all", "build/unit/test_wire")
    subprocess.run([tree / "build/unit/test_wire"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_one_version():
    version = subprocess.run([ROOT / "build/portmap", "-V"], text=True,
                             stdout=subprocess.PIPE).stdout.split()[1]
    changelog = (ROOT / "src/init/debian/changelog").read_text()
    assert changelog.startswith(f"portmap ({version}) ")
    assert re.search(r"^(\S+) \(", (ROOT / "src/NEWS").read_text(),
                     re.M).group(1) == version


# the script for SysV init

@pytest.fixture
def script(host, tree, tmp_path):
    """script(verb) runs it, and returns its status and what it prints."""
    make(tree, "install", f"DESTDIR={tmp_path}", f"SBINDIR={tree}/build")
    tmp_path.chmod(0o755)
    path = tmp_path / "etc/init.d/portmap"

    def run(*verbs):
        return host.run([path, *verbs], check=False, timeout=20)
    run.path = path
    yield run
    run("stop")


def test_it_outlives_sendsigs(host, script):
    """Debian kills all processes that are not in this directory, and unmounts
    NFS only then."""
    omit = host.path("/run/sendsigs.omit.d")
    omit.mkdir()
    assert script("start")[0] == 0
    assert os.readlink(omit / "portmap") == "/run/portmap/portmap.pid"
    assert script("stop")[0] == 0
    assert not (omit / "portmap").is_symlink()


def pid_of(host):
    return int(host.path("/run/portmap/portmap.pid").read_text())


@pytest.mark.slow
def test_every_verb_twice(host, script):
    for _ in range(2):
        assert script("status")[0] == 3
        assert script("stop")[0] == 0
        assert script("try-restart")[0] == 0
        assert script("reload")[0] == 1
        assert script("status")[0] == 3
    for _ in range(2):
        code, out = script("start")
        assert code == 0
        with host.udp() as c, host.tcp() as d, host.local() as e:
            for origin in (c, d, e):
                origin.null()  # at once
        assert script("status") == (
            0, f"portmap is running, as pid {pid_of(host)}\n")
    assert "already" in out
    # only root can read the lock
    text = re.sub("^daemon=.*", "daemon=/bin/true", script.path.read_text(),
                  flags=re.M)
    assert host.run(["sh", "-s", "status"], input=text, check=False,
                    uid=NOBODY) == (
        4, "only root can tell whether portmap is running\n")
    with contextlib.ExitStack() as stack, host.local() as c, \
            host.bound(socket.SOCK_DGRAM) as server:
        port = server.getsockname()[1]
        c.set(PROG, 1, UDP, port)
        for verb in ("restart", "force-reload", "try-restart") * 2:
            before = pid_of(host)
            assert script(verb)[0] == 0
            assert pid_of(host) != before
            with host.udp() as d:
                assert d.getport(PROG, 1, UDP) == port  # the map is kept
        c = stack.enter_context(host.local())
        c.set(PROG, 2, UDP, 5000)
        before = pid_of(host)
        assert script("reload")[0] == 0
        until(lambda: c.dump()[2:] == [(PROG, 1, UDP, port)])
        assert pid_of(host) == before
    for verb in ("", "nonsense"):
        code, out = script(verb)
        assert code == 2 and "usage: " in out
    for _ in range(2):
        assert script("stop")[0] == 0
        assert script("status")[0] == 3
    code, _ = script("restart")  # starts what was stopped
    assert code == 0 and script("status")[0] == 0


def test_a_wrong_option_stops_nothing(host, script):
    assert script("start")[0] == 0
    pid = pid_of(host)
    good = script.path.read_text()
    for options, error in (
            ("-a foo", "-a foo: not an IPv4 network"),
            ("-v -p 1111", "-p has no place in OPTIONS"),
            ("-vf", "-f has no place in OPTIONS"),
            ("-k -n", "-n has no place in OPTIONS")):
        script.path.write_text(good.replace("OPTIONS=\n",
                                            f"OPTIONS='{options}'\n"))
        for verb in "restart", "try-restart", "force-reload":
            code, out = script(verb)
            assert code == 2 and error in out
            assert script("status")[1].endswith(f"as pid {pid}\n")
    script.path.write_text(good)
    assert script("stop")[0] == 0
    script.path.write_text(good.replace("OPTIONS=\n", "OPTIONS=-d\n"))
    assert script("start")[0] == 2 and script("status")[0] == 3
    script.path.write_text(good)
    assert script("start")[0] == 0
    pid = pid_of(host)
    assert script("restart")[0] == 0 and pid_of(host) != pid


def test_after_a_crash(host, script):
    script("start")
    pid = pid_of(host)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert script("status")[0] == 1
    # another process may have this pid now: the script leaves it alone
    with host.popen(["sleep", "100"]) as other:
        host.path("/run/portmap/portmap.pid").write_text(f"{other.pid}\n")
        assert script("status")[0] == 1
        assert script("stop")[0] == 0
        assert other.poll() is None
        assert script("start")[0] == 0
        assert script("status")[0] == 0
        other.kill()


def test_a_process_that_calls_itself_portmap(host, script):
    """The lock says whether portmap runs, not a name and a stale pid file."""
    host.run(["sh", "-c", "mkdir -p /run/portmap; cp /bin/sleep /run/x"])
    host.run(["mv", "/run/x", "/run/portmap/portmap"])
    with host.popen(["/run/portmap/portmap", "100"]) as other:
        host.path("/run/portmap/portmap.pid").write_text(f"{other.pid}\n")
        assert script("status")[0] == 1
        code, out = script("start")
        assert code == 0 and "already" not in out
        assert other.poll() is None and pid_of(host) != other.pid
        other.kill()


def test_a_pid_file_that_names_another_process(host, script):
    """Root sends a signal to whatever it names."""
    script("start")
    pid_file = host.path("/run/portmap/portmap.pid")
    ours = pid_file.read_text()
    with host.popen(["sleep", "100"]) as other:
        for text in (f"{other.pid}\n", f"{ours.strip()}/../{other.pid}\n",
                     "-1\n", "\n", ""):
            pid_file.write_text(text)
            for verb in ("stop", "reload", "status", "start"):
                code, out = script(verb)
                assert code != 0
                assert "does not name the portmap that runs" in out
                assert "is running" not in out
        assert other.poll() is None
        other.kill()
    pid_file.write_text(ours)


@pytest.fixture
def postinst(host, daemon):
    """Call a function of the Debian package's postinst, as root."""
    text = (ROOT / "src/init/debian/portmap.postinst").read_text()
    functions = text[:text.index("\ncase $1 in")]

    def call(function):
        return host.run(["sh", "-s"], input=f"PATH={BUILD}:$PATH\n"
                        f"{functions}\n{function}\n")
    return call


@pytest.mark.plain
def test_what_rpcbind_had_registered(host, postinst):
    """Its directory is another user's, who may want root to read and write
    what he cannot."""
    need_uid(NOBODY)
    directory, secret = host.path("/run/rpcbind"), host.path("/run/secret")
    target = host.path("/run/target")
    for path in directory, target:
        path.mkdir()
    server = host.bound(socket.SOCK_DGRAM)
    port = server.getsockname()[1]
    entries = {name: b"".join(rpc.words(1, PROG + i, 1, UDP, port)
                              for i in range(n)) + rpc.words(0)
               for name, n in (("portmap.xdr", 2), ("secret", 3))}
    (directory / "portmap.xdr").write_bytes(entries["portmap.xdr"])
    (directory / "portmap.xdr.old").symlink_to("/run/target")
    secret.write_bytes(entries["secret"])
    secret.chmod(0o600)
    for path in directory, directory / "portmap.xdr":
        os.chown(path, NOBODY, NOBODY)
    with server, host.local() as c:
        assert postinst("take_over_mappings") == \
            "portmap: 2 of rpcbind's 2 mappings were taken over\n"
        known = [(PROG + i, 1, UDP, port) for i in range(2)]
        assert c.dump()[2:] == known
        assert list(target.iterdir()) == []
        assert [p.name for p in directory.iterdir()] == ["portmap.xdr.old"]
        (directory / "portmap.xdr").symlink_to("/run/secret")
        postinst("take_over_mappings")
        assert c.dump()[2:] == known
        os.mkfifo(directory / "portmap.xdr")
        postinst("take_over_mappings")


@pytest.mark.parametrize("prog", [rpc.PMAP, PROG])
def test_rpcbind_had_nothing_that_is_left(host, postinst, prog):
    """Only itself, or servers that stopped together with it."""
    need_uid(NOBODY)
    directory = host.path("/run/rpcbind")
    directory.mkdir()
    (directory / "portmap.xdr").write_bytes(
        rpc.words(1, prog, 2, UDP, 111 if prog == rpc.PMAP else 999, 0))
    assert postinst("set -e; take_over_mappings; echo next >&2") == \
        ("" if prog == rpc.PMAP else
         "portmap: 0 of rpcbind's 1 mappings were taken over\n") + "next\n"


def test_a_start_that_fails(host, script):
    with host.bound(socket.SOCK_DGRAM, 111):
        code, out = script("start")
        assert code == 1 and "is in use" in out
        assert script("status")[0] != 0


# services that runit and s6 supervise

@pytest.fixture(params=["runit", "s6"])
def supervised(request, host, tree):
    """The directory of a service that is supervised."""
    service = host.path("/run/service/portmap")
    service.mkdir(parents=True)
    run = (ROOT / f"src/init/portmap.{request.param}").read_text()
    (service / "run").write_text(
        run.replace("/usr/local/sbin", str(tree / "build")))
    (service / "run").chmod(0o755)
    program = {"runit": "runsv", "s6": "s6-supervise"}[request.param]
    with host.popen([program, "/run/service/portmap"],
                    stdout=subprocess.PIPE) as supervisor:
        yield supervisor
        if supervisor.poll() is None:
            supervisor.kill()


def pid_after(host, before=None):
    """The pid of the daemon that replies, unless it is the one before."""
    def look():
        with contextlib.suppress(OSError, ValueError):
            pid = pid_of(host)
            with host.local() as c:
                c.null()
            return pid if pid != before else None
    return until(look)


@pytest.mark.slow
def test_supervised(host, supervised):
    """Its log is on standard output, where they look for it; a crash loses
    nothing, and TERM for the supervisor ends it."""
    pid = pid_after(host)
    os.set_blocking(supervised.stdout.fileno(), False)
    until(lambda: b"portmap: ready version=" in
          (supervised.stdout.read() or b""), what="a line of the log")
    with host.local() as c, host.bound(socket.SOCK_DGRAM) as server:
        port = server.getsockname()[1]
        c.set(PROG, 1, UDP, port)
        os.kill(pid, signal.SIGKILL)
        pid = pid_after(host, pid)
        with host.udp() as d:
            assert d.getport(PROG, 1, UDP) == port
    supervised.terminate()
    assert supervised.wait(10) == 0
    assert not os.path.exists(f"/proc/{pid}/fd/0")
