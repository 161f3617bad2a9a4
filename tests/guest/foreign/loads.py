# SPDX-License-Identifier: GPL-2.0-only
"""Loads of servers, with replies that are checked and printed.

    python -S loads.py NAME PORT DIRECTORY

What is printed is the same for the same server: DIRECTORY is that of ``inputs.py``.
Emulated, each import takes its time: no more of them than needed.
"""

from __future__ import annotations

import hashlib
import random
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["LOADS", "main"]

_HOST = "127.0.0.1"
_TIMEOUT = 100.0  # seconds
_ROUNDS = 400


def main(arguments: list[str]) -> int:
    name, port, directory = arguments
    LOADS[name](int(port), Path(directory))
    return 0


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection((_HOST, port), timeout=_TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def memcached(port: int, directory: Path) -> None:
    """Values set, read back, counted and deleted, over two connections in turn."""
    chance = random.Random(2)
    seen = hashlib.sha256()
    with _connect(port) as one, _connect(port) as two:
        streams = [(sock, sock.makefile("rb")) for sock in (one, two)]

        def ask(turn: int, request: bytes, lines: int) -> None:
            sock, stream = streams[turn % 2]
            sock.sendall(request)
            for _ in range(lines):
                seen.update(stream.readline())

        ask(0, b"set count 0 0 1\r\n0\r\n", 1)
        for turn in range(_ROUNDS):
            value = chance.randbytes(chance.randrange(300)).hex().encode()
            key = b"key%d" % (turn % 50)
            ask(turn, b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value), 1)
            ask(turn + 1, b"get %b\r\n" % key, 3)
            ask(turn, b"incr count 1\r\n", 1)
            if turn % 10 == 0:
                ask(turn, b"delete %b\r\n" % key, 1)
        sock, stream = streams[0]
        sock.sendall(b"get count\r\n")
        print([stream.readline().decode().strip() for _ in range(3)])
    print(seen.hexdigest())


def web(port: int, directory: Path) -> None:
    """Each file of the tree, and one that is not there, over one connection."""
    import http.client

    files = sorted(path for path in (directory / "tree").rglob("*") if path.is_file())
    connection = http.client.HTTPConnection(_HOST, port, timeout=_TIMEOUT)
    wrong = 0
    for turn in range(_ROUNDS):
        file = files[turn % len(files)]
        connection.request("GET", f"/{file.relative_to(directory)}")
        answer = connection.getresponse()
        wrong += answer.read() != file.read_bytes() or answer.status != 200
    connection.request("GET", "/nothing")
    answer = connection.getresponse()
    answer.read()
    print(f"wrong {wrong} of {_ROUNDS}, status of what is not there {answer.status}")
    connection.close()


def dns(port: int, directory: Path) -> None:
    """Addresses of hosts that are there and of some that are not."""
    seen = hashlib.sha256()
    found = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_TIMEOUT)
        sock.connect((_HOST, port))
        for turn in range(_ROUNDS):
            labels = f"host{turn % 12}.example.test".encode().split(b".")
            name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
            header = struct.pack(">6H", turn, 0x0100, 1, 0, 0, 0)
            sock.send(header + name + struct.pack(">2H", 1, 1))
            answer = sock.recv(4096)
            found += struct.unpack(">6H", answer[:12])[3]
            seen.update(answer)
    print(f"found {found} of {_ROUNDS}")
    print(seen.hexdigest())


def echo(port: int, directory: Path) -> None:
    """Lines that come back, over connections of their own."""
    lines = (directory / "words").read_bytes().splitlines(keepends=True)
    right = 0
    for turn in range(2):
        with _connect(port) as sock, sock.makefile("rb") as stream:
            for line in lines[turn * _ROUNDS : (turn + 1) * _ROUNDS]:
                sock.sendall(line)
                right += stream.readline() == line
    print(f"right {right} of {2 * _ROUNDS}")


LOADS: dict[str, Callable[[int, Path], None]] = {
    "memcached": memcached,
    "web": web,
    "dns": dns,
    "echo": echo,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
