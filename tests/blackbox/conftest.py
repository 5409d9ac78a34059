# SPDX-License-Identifier: BSD-2-Clause
import functools
import os
import pathlib
import re
import subprocess

import pytest

import lab


def pytest_sessionstart(session):
    if os.geteuid() != 0 and lab.OFFLINE is None:
        pytest.exit("the black-box tests make namespaces: run them by "
                    "`make check`, which asks for root", 3)
    if lab.ONE_UID:
        # the daemon's user must be that one
        text = pathlib.Path("/etc/passwd").read_text()
        pathlib.Path("/run/passwd").write_text(
            re.sub(r"^daemon:x:\d+:\d+:", "daemon:x:0:0:", text, flags=re.M))
        subprocess.run(["mount", "--bind", "/run/passwd", "/etc/passwd"],
                       check=True)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "plain: judges the program as it is used, not the "
        "sanitizer build")
    config.addinivalue_line(
        "markers", "timed: needs lookups within their budget of time, which "
        "they exceed under valgrind")
    config.addinivalue_line(
        "markers", "needs(what): needs what a user namespace lacks")


def pytest_collection_modifyitems(config, items):
    if lab.VALGRIND:
        items[:] = [i for i in items if not i.get_closest_marker("timed")]
    if lab.SANITIZED:
        items[:] = [i for i in items if not i.get_closest_marker("plain")]
    for item in items:
        item.daemons = []
        item.obj = in_time(item, item.obj)


def in_time(item, test):
    """On a busy machine lookups take longer, and more than a uid may spend."""
    @functools.wraps(test)
    def run(*args, **kw):
        try:
            test(*args, **kw)
        except AssertionError as e:
            if any("reason=busy" in line for daemon in item.daemons
                   for line in daemon.lines()):
                raise lab.TooSlow(f"refused as busy: {e}") from e
            raise
    return run


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    lab.need(not lab.OFFLINE, lab.OFFLINE)
    for marker in item.iter_markers("needs"):
        if marker.args[0] == "several users":
            lab.need_uid(1)
        else:
            lab.need(False, f"needs {marker.args[0]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"outcome_{call.when}", outcome.get_result())


@pytest.fixture
def make_host():
    hosts = []

    def make():
        hosts.append(lab.Host())
        return hosts[-1]
    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def host(make_host):
    return make_host()


@pytest.fixture
def start(tmp_path, request):
    """start(host, option...): the daemon, ready; stopped and judged at the
    end of the test."""
    request.node.daemons = daemons = []

    def begin(host, *args, ready=True, **kw):
        daemon = lab.Portmap(host, *args, log_dir=tmp_path, **kw)
        daemons.append(daemon)
        return daemon.wait_ready() if ready else daemon
    yield begin
    failed = getattr(request.node, "outcome_call", None)
    failed = failed is not None and not failed.passed
    for daemon in daemons:
        if failed:
            if daemon.process.poll() is None:
                daemon.kill()
            print("\n".join(daemon.lines()))
        elif daemon.process.returncode is None:
            daemon.stop()


@pytest.fixture
def daemon(host, start):
    return start(host)


@pytest.fixture
def linked(make_host):
    """Two hosts with a cable between them: 192.168.77.1 and .2."""
    a, b = make_host(), make_host()
    lab.connect_hosts(a, b)
    return a, b
