# SPDX-License-Identifier: BSD-2-Clause
"""Replies judged by the decoders of tshark and scapy."""
import importlib.util
import socket
import struct
import subprocess

import pytest

from lab import NOBODY, need, need_program
need(importlib.util.find_spec("scapy"), "needs python3-scapy")
from scapy.contrib import oncrpc, portmap
from scapy.packet import NoPayload

import rpc
from load import Load
from rpc import TCP, UDP

pytestmark = [pytest.mark.plain, pytest.mark.slow,
              pytest.mark.needs("several users")]
PROG = 301000
RAW_IP = 101  # pcap's link type of packets without a link layer
BODIES = {rpc.NULL: portmap.NULL_Reply, rpc.GETPORT: portmap.GETPORT_Reply,
          rpc.DUMP: portmap.DUMP_Reply}


def provoke(host):
    """Each kind of reply at least once."""
    with host.local() as root, host.local(NOBODY) as user, host.udp() as udp, \
            host.tcp() as tcp, host.bound(socket.SOCK_DGRAM) as service:
        root.null()
        root.set(PROG, 1, UDP, service.getsockname()[1])
        for i in range(300):  # for a long list
            root.set(PROG + 1000 + i, 1, TCP, 5000 + i)
        root.set3(PROG, 2, "tcp", rpc.uaddr(5000))
        root.unset3(PROG, 2)
        user.set(100003, 3, TCP, 2049)
        for c in (user, udp, tcp):
            c.getport(PROG, 1, UDP)
            c.dump()
            c.unset(PROG, 1)
            c.raw(rpc.call(rpc.GETPORT, rpc.words(PROG)))
            c.raw(rpc.call(rpc.NULL, prog=PROG))
            c.raw(rpc.call(rpc.NULL, vers=7))
            c.raw(rpc.call(9))
            c.raw(rpc.call(rpc.NULL, rpcvers=3))
            c.raw(rpc.call(rpc.NULL, cred=(77, b"")))


@pytest.fixture
def exchanges(host, start, tmp_path):
    """Calls and their replies: each kind, and those of a random load."""
    rpc.exchanges.clear()
    daemon = start(host)
    daemon.expect("refused ", "badcall ", "suppressed ")
    provoke(host)
    load = Load(1, tmp_path)
    try:
        for _ in range(2000):
            load.step()
    finally:
        load.close()
    # one of each kind, whatever its xid
    kinds = {(call[4:], reply[4:]): (call, reply)
             for call, reply in rpc.exchanges}
    return list(kinds.values())


def write_pcap(path, exchanges):
    """Each exchange as two datagrams, with a client of its own."""
    with open(path, "wb") as f:
        f.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 70000, RAW_IP))
        for n, (call, reply) in enumerate(exchanges):
            client = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
            for packet in (rpc.packet(client, "192.0.2.1", call),
                           rpc.packet("192.0.2.1", client, reply, 111, 5000)):
                f.write(struct.pack("=IIII", n, 0, len(packet), len(packet)))
                f.write(packet)


def tshark(path, condition):
    """The numbers of the packets for which it is true, and what is wrong."""
    need_program("tshark")
    return subprocess.run(
        ["tshark", "-n", "-r", path, "-Y", condition, "-T", "fields", "-e",
         "frame.number", "-e", "_ws.expert.message"], check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.splitlines()


def test_tshark_decodes_each_reply(exchanges, tmp_path):
    # packets of IP have at most 65535 bytes, and few dumps are longer
    exchanges = [e for e in exchanges if len(e[1]) < 65000]
    assert len(exchanges) >= 12
    # the last one is malformed, and found
    call, dump = next(e for e in exchanges if e[0][20:24] == rpc.words(rpc.DUMP)
                      and len(e[1]) > 60)
    exchanges.append((call, dump[:-6]))
    path = tmp_path / "exchanges.pcap"
    write_pcap(path, exchanges)
    wrong = tshark(path, "udp.srcport == 111 && (_ws.malformed || _ws.short || "
                   "rpc.fragment_data || _ws.expert.severity == error)")
    numbers = [int(line.split()[0]) for line in wrong]
    assert numbers == [2 * len(exchanges)], \
        [exchanges[n // 2 - 1] for n in numbers]
    # it knows a reply by its call, and skips calls that are not RPC version 2
    calls, replies = ([int(line.split()[0]) for line in
                       tshark(path, f"rpc.msgtyp == {kind}")]
                      for kind in (0, 1))
    assert len(calls) >= 11 and replies == [n + 1 for n in calls]


def short_lists(body):
    """The list of a DUMP as lists of 50 mappings: Debian 13's scapy refuses
    more than 100, and its time grows with the square of their number."""
    mappings, end = body[:-4], body[-4:]
    return [mappings[i:i + 1000] + end
            for i in range(0, len(mappings), 1000)] or [body]


def test_scapy_decodes_each_reply(exchanges):
    judged = set()
    for call, reply in exchanges:
        header, rest = oncrpc.RPC(reply[:8]), reply[8:]
        assert (header.xid, header.mtype) == (rpc.unwords(call)[0], 1)
        if len(call) < 24 or rpc.unwords(rest)[:1] != (0,):
            continue
        accepted = oncrpc.RPC_Reply(rest[:16])
        _, _, version, prog, vers, proc = rpc.unwords(call[:24])
        if accepted.accept_stat or (version, prog, vers) != (2, rpc.PMAP, 2) \
                or proc not in BODIES:
            continue
        for part in short_lists(rest[16:]) if proc == rpc.DUMP else [rest[16:]]:
            body = BODIES[proc](part)
            # nothing is missing, and nothing is left
            assert bytes(body) == part, reply
            assert isinstance(body.payload, NoPayload), reply
            if proc == rpc.DUMP:
                follows = [x.value_follows for x in (body, *body.mappings)]
                assert follows == [1] * (len(part) // 20) + [0], reply
        judged.add(proc)
    assert judged == set(BODIES)
