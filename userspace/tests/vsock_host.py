#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vsock_host.py PATH: the programs of the host that a recorded guest speaks to by vsock.

One, at the host's port 5000, answers a connection with the SHA-256 of what it was sent; one
connects to the guest's port 5001, and has to get back what it sends. Ends when both have done so.
"""
import hashlib
import os
import socket
import sys
import time


def everything(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def answer(listener):
    connection, _ = listener.accept()
    with connection:
        data = everything(connection)
        connection.sendall(hashlib.sha256(data).hexdigest().encode() + b"\n")
    print(f"the guest sent {len(data)} bytes")


def connect(path, port):
    """Once the guest listens."""
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        connection.sendall(b"CONNECT %d\n" % port)
        line = b""
        while not line.endswith(b"\n") and (byte := connection.recv(1)):
            line += byte
        if line.startswith(b"OK "):
            return connection
        connection.close()
        time.sleep(0.2)


def ask(path):
    # More than either end has room for at once.
    data = os.urandom(600_000)
    with connect(path, 5001) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        back = everything(connection)
        if back != data:
            alike = len(os.path.commonprefix([back, data]))
            sys.exit(f"of {len(data)} bytes {len(back)} came back, {alike} of them right")
    print(f"the guest gave {len(data)} bytes back")


def main(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}_5000")
        listener.listen()
        print("listens", flush=True)
        answer(listener)
    ask(path)


main(sys.argv[1])
