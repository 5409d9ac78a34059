# SPDX-License-Identifier: BSD-2-Clause
"""Servers and clients with another RPC library than libtirpc, and what cannot
see /run/rpcbind.sock: each with rpcbind in portmap's place, too, so that these
tests test the world and not us.  `make check-others` runs them."""
import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from lab import INTEROP, need_program, running, until

PROG, MOUNTD, STATUS = 300970, 100005, 100024
OTHERS = INTEROP / "others"
SERVERS = {
    "remotetea": ["java", "-cp", f"{OTHERS}:/usr/share/java/oncrpc.jar",
                  "Server"],
    "ocamlnet": [OTHERS / "ocaml"],
    "pyvisa-py": ["/usr/bin/python3", OTHERS / "server.py"],
    "dietlibc": [OTHERS / "diet"],
}
# A system account registers what only root and system accounts may.
USERS = {0: PROG, 250: MOUNTD, 1001: PROG}


@pytest.fixture(params=["portmap", "rpcbind"])
def mapper(request, host, start):
    host.own_etc()
    # as Debian's installer writes it
    host.path("/etc/hosts").write_text(
        f"127.0.0.1 localhost\n127.0.1.1 {socket.gethostname()}\n"
        "::1 localhost ip6-localhost\n")
    if request.param == "portmap":
        # rpcinfo asks for version 4 first
        start(host).expect("badcall .*reason=version")
    else:
        host.prepare_rpcbind()
        host.run(["rpcbind"])
    return request.param


def listed(host, prog):
    return f" {prog} " in host.run(["rpcinfo", "-p", "127.0.0.1"])


@contextlib.contextmanager
def serving(host, library, *args, uid=0):
    """A server, which unregisters at its end."""
    with host.popen([*SERVERS[library], *args], text=True, uid=uid,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == "ready\n"
        yield
        p.stdin.close()
        assert p.wait(30) == 0


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("library", SERVERS)
def test_a_server_and_its_end(host, mapper, library, protocol, uid):
    prog = USERS[uid]
    with serving(host, library, protocol, prog, uid=uid):
        # ocamlnet registers, and then goes on
        until(lambda: "ready and waiting" in host.run(
            ["rpcinfo", f"-{protocol[0]}", "127.0.0.1", str(prog), "1"],
            check=False)[1])
    assert not listed(host, prog)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_name_of_this_host(host, mapper, protocol):
    """127.0.1.1, where servers in Python register if they are given a name."""
    with serving(host, "pyvisa-py", protocol, PROG, "127.0.1.1"):
        assert listed(host, PROG)
    assert not listed(host, PROG)


def test_rpc_statd_in_a_chroot(host, mapper):
    """portmap(7) says to remove tcp6 there."""
    need_program("rpc.statd")
    if mapper == "portmap":
        host.run(["sed", "-i", "/^tcp6/d", "/etc/netconfig"])
    state = host.path("/dev/shm/statd")
    for directory in (state, state / "sm", state / "sm.bak"):
        directory.mkdir()
        os.chown(directory, 123, 123)
    program = shutil.which("rpc.statd", path=os.environ["PATH"]) \
        or INTEROP / "sbin/rpc.statd"
    with running(host, "unshare", "-m", "sh", "-c", "mount -t tmpfs none /run; "
                 'exec "$@"', "sh", program, "-F", "-P",
                 "/dev/shm/statd") as p:
        until(lambda: p.poll() is not None or listed(host, STATUS))
        assert p.poll() is None, "rpc.statd has given up"


@pytest.mark.parametrize("command", [
    "showmount -e localhost", "rup localhost", "rusers localhost",
    f"rpcinfo -u localhost {PROG}", f"rpcinfo -t localhost {PROG}"])
def test_clients_of_what_is_not_registered(host, mapper, command):
    """At once, by whatever address of the name."""
    code, out = host.run(command.split(), check=False, timeout=20)
    assert "rogram not registered" in out or "Program unavailable" in out, out
    assert code != 0 or command.startswith("ru")
