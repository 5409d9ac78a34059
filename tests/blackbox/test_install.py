# SPDX-License-Identifier: BSD-2-Clause
"""make install and uninstall, and what they install."""
import os
import re
import signal
import socket
import subprocess

import pytest

from lab import ROOT, copy_tree, make, until
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


@pytest.mark.parametrize("variables, expected", [
    ({}, {"usr/local/sbin/portmap", "usr/local/sbin/pmap_dump",
          "usr/local/sbin/pmap_set", "usr/local/share/man/man8/portmap.8",
          "usr/local/share/man/man8/pmap_dump.8",
          "usr/local/share/man/man8/pmap_set.8",
          "usr/local/lib/systemd/system/portmap.service",
          "usr/local/lib/systemd/system/portmap.socket",
          "usr/local/lib/systemd/system/portmap-local.path",
          "usr/local/lib/systemd/system/portmap-local.service",
          "usr/local/lib/systemd/system/rpcbind.service",
          "usr/local/lib/systemd/system/rpcbind.socket",
          "etc/init.d/portmap"}),
    ({"PREFIX": "/usr", "SBINDIR": "/sbin", "MANDIR": "/usr/man",
      "UNITDIR": "", "SYSVDIR": "/etc/rc.d"},
     {"sbin/portmap", "sbin/pmap_dump", "sbin/pmap_set",
      "usr/man/man8/portmap.8", "usr/man/man8/pmap_dump.8",
      "usr/man/man8/pmap_set.8", "etc/rc.d/portmap"}),
    ({"PREFIX": "/usr", "SYSVDIR": "", "UNITDIR": "/lib/systemd/system"},
     {"usr/sbin/portmap", "usr/sbin/pmap_dump", "usr/sbin/pmap_set",
      "usr/share/man/man8/portmap.8", "usr/share/man/man8/pmap_dump.8",
      "usr/share/man/man8/pmap_set.8", "lib/systemd/system/portmap.service",
      "lib/systemd/system/portmap.socket",
      "lib/systemd/system/portmap-local.path",
      "lib/systemd/system/portmap-local.service",
      "lib/systemd/system/rpcbind.service",
      "lib/systemd/system/rpcbind.socket"})])
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
        assert os.readlink(link) == link.name.replace("rpcbind", "portmap")
    for path in map(x.joinpath, expected):
        program = "sbin" in str(path) or "init.d" in str(path) \
            or "rc.d" in str(path)
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


def test_two_builds_are_the_same_bytes(tree, tmp_path):
    other = copy_tree(tmp_path / "another-place")
    make(other, "all", *(f"{k}={v}" for k, v in FLAGS.items()))
    for name in ("portmap", "pmap_dump", "pmap_set"):
        assert (tree / "build" / name).read_bytes() == \
            (other / "build" / name).read_bytes(), name


@pytest.mark.parametrize("flags", ["ours", "dpkg's"])
@pytest.mark.parametrize("name", ["portmap", "pmap_dump", "pmap_set"])
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
    assert set(re.findall(r"NEEDED.*\[(.*?)\.so", out)) == {"libtirpc", "libc"}


def test_the_filter_of_the_unit_is_the_list():
    listed = re.findall(r"^\w+", (ROOT / "src/init/syscalls").read_text(), re.M)
    unit = (ROOT / "src/init/portmap.service").read_text()
    allowed = " ".join(re.findall(r"^SystemCallFilter=(.*)$", unit, re.M))
    assert sorted(set(listed)) == sorted(allowed.split())
    assert len(listed) == len(set(listed))


# the script for SysV init

@pytest.fixture
def script(host, tree, tmp_path):
    """script(verb) runs it, and returns its status and what it prints."""
    make(tree, "install", f"DESTDIR={tmp_path}", f"SBINDIR={tree}/build")
    tmp_path.chmod(0o755)
    path = tmp_path / "etc/init.d/portmap"

    def run(*verbs):
        return host.run([path, *verbs], check=False, timeout=20)
    yield run
    run("stop")


def pid_of(host):
    return int(host.path("/run/portmap/portmap.pid").read_text())


def test_every_verb_twice(host, script):
    for _ in range(2):
        assert script("status")[0] == 3
        assert script("stop")[0] == 0
        assert script("try-restart")[0] == 0
        assert script("status")[0] == 3
    for _ in range(2):
        code, out = script("start")
        assert code == 0
        with host.udp() as c, host.tcp() as d, host.local() as e:
            for door in (c, d, e):
                door.null()  # at once
        assert script("status") == (
            0, f"portmap is running, as pid {pid_of(host)}\n")
    assert "already" in out
    with host.local() as c, host.bound(socket.SOCK_DGRAM) as server:
        port = server.getsockname()[1]
        c.set(PROG, 1, UDP, port)
        for verb in ("restart", "force-reload", "try-restart") * 2:
            before = pid_of(host)
            assert script(verb)[0] == 0
            assert pid_of(host) != before
            with host.udp() as d:
                assert d.getport(PROG, 1, UDP) == port  # the map is kept
    for verb in ("", "nonsense"):
        code, out = script(verb)
        assert code == 2 and "usage: " in out
    for _ in range(2):
        assert script("stop")[0] == 0
        assert script("status")[0] == 3
    code, _ = script("restart")  # starts what was stopped
    assert code == 0 and script("status")[0] == 0


def test_after_a_crash(host, script):
    script("start")
    pid = pid_of(host)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert script("status")[0] == 1
    # its number may be somebody else's by now, who is left alone
    with host.popen(["sleep", "100"]) as other:
        host.path("/run/portmap/portmap.pid").write_text(f"{other.pid}\n")
        assert script("status")[0] == 1
        assert script("stop")[0] == 0
        assert other.poll() is None
        assert script("start")[0] == 0
        assert script("status")[0] == 0
        other.kill()


def test_a_start_that_fails(host, script):
    with host.bound(socket.SOCK_DGRAM, 111):
        code, out = script("start")
        assert code == 1 and "is taken" in out
        assert script("status")[0] != 0
