#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""An RPC server on pyvisa-py's rpc.py: server.py tcp|udp PROGRAM [HOST]"""
import sys
import threading

from pyvisa_py.protocols import rpc

kind, prog, host = (*sys.argv[1:], "")[:3]
server = {"tcp": rpc.TCPServer, "udp": rpc.UDPServer}[kind](
    host, int(prog), 1, 0)
server.port = server.sock.getsockname()[1]
server.register()
threading.Thread(target=server.loop, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
server.unregister()
