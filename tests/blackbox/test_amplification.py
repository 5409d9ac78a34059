# SPDX-License-Identifier: BSD-2-Clause
"""How many bytes a call over UDP draws from portmap and from rpcbind, for each
shape of call that scanners and attackers send."""
import subprocess

import pytest

import lab
import rpc
from lab import until
from rpc import PMAP, TCP, UDP

pytestmark = pytest.mark.plain
PROG = 301200
ENTRIES = 14  # of an NFS server, more or less
WORST = 0.8   # README
GETSTAT, BCAST, GETVERSADDR, INDIRECT, GETADDRLIST = 12, 5, 9, 10, 11
GETTIME, UADDR2TADDR = 6, 7

LOOKUP = rpc.mapping(PROG, 1, UDP, 0)
ADDRESS = rpc.rpcb(PROG, 1, "udp", "", "")
FORWARD = rpc.words(PROG, 1, 0, 0)
SHAPES = [
    ("NULL", rpc.call(rpc.NULL)),
    ("NULL of version 3", rpc.call(rpc.NULL, vers=3)),
    ("NULL of version 4: nmap", rpc.call(rpc.NULL, vers=4)),
    ("NULL of version 104316: nmap -sV", rpc.call(rpc.NULL, vers=104316)),
    ("NULL of program 100003", rpc.call(rpc.NULL, prog=100003, vers=3)),
    ("DUMP: zmap, Shadowserver, metasploit, nmap", rpc.call(rpc.DUMP)),
    ("DUMP of version 3: metasploit", rpc.call(rpc.DUMP, vers=3)),
    ("DUMP of version 4", rpc.call(rpc.DUMP, vers=4)),
    ("DUMP with AUTH_SYS", rpc.call(rpc.DUMP, cred=rpc.authsys())),
    ("DUMP with 64 bytes behind it", rpc.call(rpc.DUMP, bytes(64))),
    ("GETSTAT: metasploit", rpc.call(GETSTAT, vers=4)),
    ("GETPORT, registered", rpc.call(rpc.GETPORT, LOOKUP)),
    ("GETPORT, not registered",
     rpc.call(rpc.GETPORT, rpc.mapping(PROG - 1, 1, UDP, 0))),
    ("GETADDR of version 3", rpc.call(rpc.GETPORT, ADDRESS, vers=3)),
    ("GETADDR of version 4", rpc.call(rpc.GETPORT, ADDRESS, vers=4)),
    ("GETVERSADDR", rpc.call(GETVERSADDR, ADDRESS, vers=4)),
    ("GETADDRLIST", rpc.call(GETADDRLIST, ADDRESS, vers=4)),
    ("GETTIME", rpc.call(GETTIME, vers=3)),
    ("UADDR2TADDR",
     rpc.call(UADDR2TADDR, rpc.string("127.0.0.1.0.111"), vers=3)),
    ("SET", rpc.call(rpc.SET, rpc.mapping(PROG, 9, UDP, 5000))),
    ("UNSET", rpc.call(rpc.UNSET, LOOKUP)),
    ("CALLIT", rpc.call(rpc.CALLIT, FORWARD)),
    ("CALLIT of DUMP", rpc.call(rpc.CALLIT, rpc.words(PMAP, 2, rpc.DUMP, 0))),
    ("BCAST", rpc.call(BCAST, FORWARD, vers=4)),
    ("INDIRECT", rpc.call(INDIRECT, FORWARD, vers=4)),
    ("procedure 99", rpc.call(99)),
    ("RPC version 3", rpc.call(rpc.NULL, rpcvers=3)),
    ("RPCSEC_GSS", rpc.call(rpc.NULL, cred=(6, bytes(20)))),
    ("GETPORT without arguments", rpc.call(rpc.GETPORT)),
    ("the first 24 bytes of a call", rpc.call(rpc.DUMP)[:24]),
    ("4 bytes", bytes(4)),
]


def served(make_host, start, mapper):
    """A host with the entries, and another one on its link."""
    a, b = make_host(), make_host()
    lab.connect_hosts(a, b)
    process = None
    if mapper == "portmap":
        start(a).expect("refused ", "badcall ", "suppressed ")
    else:
        a.prepare_rpcbind()
        process = a.popen(["rpcbind", "-f"], stdin=subprocess.DEVNULL)
        until(lambda: a.run(["rpcinfo", "-p"], check=False)[0] == 0)
    with a.root_udp() as c:
        for i in range(ENTRIES // 2):
            for protocol in (TCP, UDP):
                assert c.set(PROG + i, 1, protocol, 5000 + i) == 1
    return b, process


def drawn(client, call):
    """The bytes of all replies."""
    last = rpc.call(rpc.NULL)
    client.send(call)
    client.send(last)
    total = 0
    while True:
        reply = client.receive()
        if reply[:4] == last[:4]:
            return total
        total += len(reply)


def test_amplification(make_host, start, capsys):
    columns, processes = [], []
    try:
        for mapper in ("portmap", "rpcbind"):
            host, process = served(make_host, start, mapper)
            processes += [process] if process else []
            with host.udp("192.168.77.1") as c:
                columns.append([drawn(c, call) for _, call in SHAPES])
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)
    with capsys.disabled():
        print(f"\n{'bytes of UDP':<44}{'call':>6}{'portmap':>9}{'rpcbind':>9}")
        for (name, call), ours, theirs in zip(SHAPES, *columns):
            print(f"{name:<44}{len(call):6}{ours:9}{theirs:9}")
    ours, theirs = ([n / len(call) for (_, call), n in zip(SHAPES, column)]
                    for column in columns)
    assert max(ours) <= WORST
    # rpcbind proves that the shapes do what they say
    assert max(theirs) > 7 and sum(n > 0 for n in theirs) > 20
