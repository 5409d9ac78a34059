# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark says what is true: who is slower is reported as slower, and
a wrong reply is no reply."""
import json
import subprocess

import pytest

from lab import PORTMAP, ROOT, TooSlow, copy_tree, make, need_program

pytestmark = pytest.mark.plain
BENCH = ROOT / "tests/bench/bench"
TOOLS = ROOT / "build/bench"


def bench(tmp_path, portmap, *parts):
    report = tmp_path / "report.json"
    try:
        subprocess.run([BENCH, portmap, TOOLS, "--quick", "--json", report,
                        *parts], check=True, stdout=subprocess.PIPE,
                       timeout=100)
    except subprocess.TimeoutExpired as e:
        raise TooSlow(f"{e}") from None
    return {line["title"]: line for line in json.loads(report.read_text())}


def changed(tmp_path, file, old, new):
    """A portmap that was built from a source with this change."""
    tree = copy_tree(tmp_path / "portmap")
    source = tree / "src" / file
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    make(tree, "all")
    return tree / "build/portmap"


@pytest.mark.slow
@pytest.mark.needs("several users")
def test_a_slowed_build_is_reported_slower(tmp_path):
    need_program("rpcbind")
    slow = changed(tmp_path, "service.c",
                   "	found = table_getport(",
                   "	for (volatile int i = 0; i < 100000; i++)\n"
                   "		;\n	found = table_getport(")
    good = bench(tmp_path, PORTMAP, "udp")
    bad = bench(tmp_path, slow, "udp")
    for title, line in good.items():
        if "GETPORT, 64" not in title and "GETPORT, 8" not in title:
            continue
        assert line["portmap"] * 2 < bad[title]["portmap"]
        assert line["rpcbind / ours"] > bad[title]["rpcbind / ours"]
    # what was not slowed is not
    null = "UDP NULL, 64"
    assert bad[null]["portmap"] < good[null]["portmap"] * 2
    assert any(line["met"] is False for line in bad.values())
    for line in good.values():
        assert line["portmap"] > 0
        if line["unit"] == "us":
            assert line["rpcbind"] > 0 and line["echo"] > 0


@pytest.mark.slow
def test_wrong_answers_are_noticed(host, start):
    daemon = start(host)
    daemon.expect("refused ")
    load = TOOLS / "load"
    host.run([load, "local", 1, 1, "fill:10"])
    for args in (["udp", 64, 8, "null"], ["udp", 64, 8, "get:9"],
                 ["tcp", 160, 10, "get:9"], ["connect", 8, 4, "get:0"],
                 ["local", 8, 1, "change"], ["udp", 8, 1, "change2"],
                 ["connect", 8, 1, "dump:10"], ["udp", 64, 8, "miss"]):
        host.run([load, *args])
    for args, says in ((["udp", 64, 8, "get:10"], "a wrong port"),
                       (["tcp", 160, 10, "get:10"], "a wrong port"),
                       (["connect", 8, 1, "dump:99"], "a DUMP of 10 "),
                       (["udp", 8, 8, "echo:28"], "no reply"),
                       (["udp", 8, 3, "null"], "a window of 3"),
                       (["smoke", 8, 8, "null"], "no mode"),
                       (["udp", 8, 8, "smoke"], "no call")):
        code, out = host.run([load, *args], check=False)
        assert code == 1 and says in out, out
