# SPDX-License-Identifier: BSD-2-Clause
"""ONC RPC by hand (RFC 5531, RFC 4506, RFC 1833): a second opinion on the
wire format, so neither libtirpc nor any code of the daemon's is in here."""
import itertools
import socket
import struct
from collections import namedtuple

PMAP, V2, V3 = 100000, 2, 3
NULL, SET, UNSET, GETPORT, DUMP, CALLIT = range(6)
TCP, UDP = 6, 17
SUCCESS, PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE, SYSTEM_ERR = \
    range(6)
BADCRED, REJECTEDCRED, TOOWEAK = 1, 2, 5
NONE = (0, b"")
OWN = [(PMAP, 2, TCP, 111), (PMAP, 2, UDP, 111)]

_xids = itertools.count(0x1000)
exchanges = []  # calls and their replies, for test_decoders.py

# status: "ok", "denied" (what: RPC_MISMATCH or the auth_stat) or an
# accept_stat; low and high for mismatches; body: the results
Reply = namedtuple("Reply", "xid kind stat low high body raw")


def words(*values):
    return struct.pack(f">{len(values)}I", *values)


def unwords(data):
    return struct.unpack(f">{len(data) // 4}I", data[:len(data) // 4 * 4])


def opaque(data):
    return words(len(data)) + data + bytes(-len(data) % 4)


def string(text):
    return opaque(text.encode() if isinstance(text, str) else text)


def authsys(uid=0, gid=0, gids=(), machine="host", stamp=0):
    return (1, words(stamp) + string(machine) + words(uid, gid, len(gids),
                                                      *gids))


def call(proc, args=b"", prog=PMAP, vers=V2, cred=NONE, verf=NONE, xid=None,
         rpcvers=2, direction=0):
    xid = next(_xids) if xid is None else xid
    return (words(xid, direction, rpcvers, prog, vers, proc) + words(cred[0])
            + opaque(cred[1]) + words(verf[0]) + opaque(verf[1]) + args)


def parse(data):
    xid, direction, status = unwords(data[:12])
    assert direction == 1, data
    low = high = None
    if status == 1:
        what = unwords(data[12:16])[0]
        if what == 0:
            low, high = unwords(data[16:24])
            return Reply(xid, "rpc_mismatch", None, low, high, b"", data)
        return Reply(xid, "auth_error", unwords(data[16:20])[0], low, high,
                     b"", data)
    flavor, length = unwords(data[12:20])
    assert (flavor, length) == (0, 0), "a verifier that nobody sent"
    stat = unwords(data[20:24])[0]
    body = data[24:]
    if stat == PROG_MISMATCH:
        low, high = unwords(body)
    return Reply(xid, "accepted", stat, low, high, body, data)


def mapping(prog, vers, prot, port):
    return words(prog, vers, prot, port)


def rpcb(prog, vers, netid, addr, owner="superuser"):
    return words(prog, vers) + string(netid) + string(addr) + string(owner)


def uaddr(port, host="0.0.0.0"):
    return f"{host}.{port >> 8}.{port & 255}"


def checksum(data):
    """Of IP, ICMP and TCP: RFC 1071."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def packet(source, to, payload, sport=5000, dport=111):
    """An IPv4 packet with a UDP datagram, without checksums."""
    udp = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(to)) + udp


def record(data, last=True):
    return words(len(data) | (0x80000000 if last else 0)) + data


def parse_dump(body):
    entries, data = [], unwords(body)
    i = 0
    while data[i]:
        assert data[i] == 1
        entries.append(tuple(data[i + 1:i + 5]))
        i += 5
    assert i == len(data) - 1, "bytes behind the list"
    return entries


class Client:
    """Calls over one connected socket, datagram or stream."""

    def __init__(self, sock, timeout=5):
        self.sock = sock
        self.stream = sock.type & 0xf == socket.SOCK_STREAM
        self.calls = {}  # by xid
        self.given_up = set()  # xids of calls whose replies may come late
        sock.settimeout(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.calls[data[:4]] = data
        self.sock.sendall(record(data) if self.stream else data)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError("connection closed")
            data += more
        return data

    def receive(self):
        if not self.stream:
            return self.sock.recv(70000)
        data, last = b"", False
        while not last:
            mark = unwords(self._exactly(4))[0]
            last = mark & 0x80000000
            data += self._exactly(mark & 0x7fffffff)
        return data

    def reply(self):
        data = self.receive()
        if data[:4] in self.calls:
            exchanges.append((self.calls.pop(data[:4]), data))
        return parse(data)

    def raw(self, data):
        self.send(data)
        return self.reply()

    def call(self, proc, args=b"", **kw):
        data = call(proc, args, **kw)
        xid = unwords(data[:4])[0]
        try:
            reply = self.raw(data)
            while reply.xid in self.given_up:
                reply = self.reply()
        except TimeoutError:
            self.given_up.add(xid)
            raise
        assert reply.xid == xid
        return reply

    def _word(self, proc, args, **kw):
        reply = self.call(proc, args, **kw)
        assert (reply.kind, reply.stat) == ("accepted", SUCCESS), reply
        assert len(reply.body) == 4
        return unwords(reply.body)[0]

    def null(self, **kw):
        reply = self.call(NULL, **kw)
        assert (reply.kind, reply.stat, reply.body) == \
            ("accepted", SUCCESS, b""), reply

    def set(self, prog, vers, prot, port, **kw):
        return self._word(SET, mapping(prog, vers, prot, port), **kw)

    def unset(self, prog, vers, prot=0, port=0, **kw):
        return self._word(UNSET, mapping(prog, vers, prot, port), **kw)

    def getport(self, prog, vers, prot, port=0, **kw):
        return self._word(GETPORT, mapping(prog, vers, prot, port), **kw)

    def set3(self, prog, vers, netid, addr, owner="superuser"):
        return self._word(SET, rpcb(prog, vers, netid, addr, owner), vers=V3)

    def unset3(self, prog, vers, netid="", addr="", owner="superuser"):
        return self._word(UNSET, rpcb(prog, vers, netid, addr, owner), vers=V3)

    def dump(self):
        reply = self.call(DUMP)
        assert (reply.kind, reply.stat) == ("accepted", SUCCESS), reply
        return parse_dump(reply.body)

    def silent(self, data, seconds=0.3):
        """Nothing comes back: proved by a reply to a later call."""
        self.send(data)
        probe = call(NULL)
        self.send(probe)
        return self.receive()[:4] == probe[:4]

    def closed(self, data=None):
        """The other side closes the connection, without a reply."""
        try:
            if data is not None:
                self.sock.sendall(data)
            return self.sock.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True
