# SPDX-License-Identifier: BSD-2-Clause
"""Connections through which descriptors may have been passed, on kernels that
cannot refuse them, are closed by children of the daemon."""
import contextlib
import os
import pathlib
import re
import signal
import socket

import pytest

import rpc
from lab import NOBODY, WITHOUT_PASSRIGHTS, need_program, need_uid, \
    refusing, until

pytestmark = pytest.mark.plain
SO_PASSRIGHTS = 83
BROKEN = rpc.words(0x80000001) + b"x"  # the daemon closes the connection


def children(daemon):
    pid = daemon.pid
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def descriptors(pid):
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # it is closing them
            links.append(
                re.sub(r":.*", "", os.readlink(f"/proc/{pid}/fd/{fd}")))
    return sorted(links)


def close_one(host):
    with host.local(NOBODY) as c:
        assert c.closed(BROKEN)


def test_the_kernel_refuses_descriptors_if_it_can(host, daemon):
    """Then there is no child."""
    need_uid(NOBODY)
    with socket.socket(socket.AF_UNIX) as s:
        can = True
        try:
            s.getsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS)
        except OSError:
            can = False
    with host.local(NOBODY) as c:
        refused = False
        try:
            socket.send_fds(c.sock, [BROKEN], [0])
        except PermissionError:
            refused = True
        assert refused == can
    if can:
        close_one(host)
        assert not children(daemon)


def test_a_child_keeps_only_the_connection(host, start):
    """No port, so that the next daemon can start while it waits."""
    need_uid(NOBODY)
    daemon = start(host, under=refusing("passrights,exit"))
    before = daemon.fds()
    close_one(host)
    child, = until(lambda: children(daemon))
    until(lambda: descriptors(child) == ["pipe", "socket"])
    until(lambda: daemon.fds() == before)
    daemon.kill()
    start(host)
    with host.udp() as c, host.tcp() as d, host.local() as e:
        for client in (c, d, e):
            client.null()


def test_the_limit_of_children(host, start):
    """64, and then connections wait until one of them has ended."""
    need_uid(NOBODY)
    daemon = start(host, under=refusing("passrights,exit"))
    older = host.local(NOBODY)
    older.null()
    for n in range(64):
        close_one(host)
        until(lambda: len(children(daemon)) == n + 1)
    with host.local(NOBODY) as c:
        c.send(rpc.call(rpc.NULL))
        daemon.expect_line("error what=closer errno=EBUSY")
        assert older.closed(BROKEN)
        with host.udp() as u:
            u.null()
        assert len(children(daemon)) == 64
        for child in children(daemon)[:2]:
            os.kill(int(child), signal.SIGKILL)
        c.receive()
        assert c.closed(BROKEN)
    until(lambda: len(children(daemon)) == 64)
    for child in children(daemon):
        os.kill(int(child), signal.SIGKILL)
    until(lambda: not children(daemon))
    for _ in range(3):
        close_one(host)
    older.sock.close()


def test_no_child_can_be_started(host, start):
    """It is logged, the client sees the end, and later they are closed."""
    need_uid(NOBODY)
    need_program("strace")
    # strace lets it fail by its number, which the sandbox would deny
    daemon = start(host, "-S", under=[
        *WITHOUT_PASSRIGHTS, "strace", "-D", "-f", "-qq", "-o", "/dev/null",
        "-e", "inject=clone:error=EAGAIN:when=1..20"])
    fds = daemon.fds()
    daemon.expect("suppressed ")
    for _ in range(3):
        close_one(host)
    daemon.expect_line("error what=closer errno=EAGAIN")
    until(lambda: daemon.fds() == fds)
    with host.local(NOBODY) as c:
        c.null()
