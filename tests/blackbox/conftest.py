# SPDX-License-Identifier: BSD-2-Clause
import os
import pathlib
import re
import resource
import subprocess

import pytest

import lab


DESCRIPTORS = 20000  # for attackers


def pytest_sessionstart(session):
    # the same on each machine that allows as many
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = DESCRIPTORS if hard == resource.RLIM_INFINITY else \
        min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
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


# only if it is named: `make check-others`
collect_ignore = ["test_others.py"]


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "plain: judges the program as it is used, not the "
        "sanitizer build")
    config.addinivalue_line(
        "markers", "uninstrumented: `make coverage` leaves it out: its build "
        "has no sandbox, and its daemon writes files")
    config.addinivalue_line(
        "markers", "slow: takes more than a second, or measures time; "
        "`make check` leaves it out")
    config.addinivalue_line(
        "markers", "needs(what): needs what a user namespace lacks")


def pytest_collection_modifyitems(config, items):
    if lab.SANITIZED:
        left_out = "uninstrumented" if lab.COVERAGE else "plain"
        items[:] = [i for i in items if not i.get_closest_marker(left_out)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    lab.may_judge_time = item.get_closest_marker("slow") is not None
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


def pytest_terminal_summary(terminalreporter):
    """Say why a test has run again."""
    for report in terminalreporter.stats.get("rerun", []):
        reason = report.longrepr.reprcrash.message.splitlines()[0]
        terminalreporter.write_line(f"RERUN {report.nodeid}: {reason}")


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
    daemons = []

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


@pytest.fixture
def target(linked, start):
    """The daemon on one host, an attacker's host on its link."""
    a, b = linked
    daemon = start(a, "-c", "link")
    # a local attacker may get into debt, too
    daemon.expect("evicted ", "suppressed ", "refused ", "debt ")
    return a, b, daemon
