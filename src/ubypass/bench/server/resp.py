# SPDX-License-Identifier: GPL-2.0-only
"""A client of Redis with what is needed to check its replies."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ubypass.errors import UbError

__all__ = ["Client", "Reply"]

#: Error replies are bytes, too, with "-" in front.
Reply = bytes | int | None | list["Reply"]


class Client:
    """A connection; several commands may be sent before their replies are read."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port))
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, *commands: Sequence[str | bytes]) -> None:
        """Send commands without waiting for replies."""
        self._socket.sendall(b"".join(_encoded(words) for words in commands))

    def receive(self) -> Reply:
        """The next reply. Raises UbError if it is invalid or the connection ends."""
        line = self._stream.readline()
        kind, rest = line[:1], line[1:-2]
        if not line.endswith(b"\r\n"):
            raise UbError("redis has closed the connection")
        if kind == b"+":
            return rest
        if kind == b"-":
            return line[:-2]
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._exactly(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.receive() for _ in range(int(rest))]
        raise UbError(f"invalid reply from redis: {line!r}")

    def call(self, *words: str | bytes) -> Reply:
        """Send one command; its reply."""
        self.send(words)
        return self.receive()

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise UbError("redis has closed the connection")
        return data


def _encoded(words: Sequence[str | bytes]) -> bytes:
    parts = [word if isinstance(word, bytes) else word.encode() for word in words]
    lines = [b"*%d\r\n" % len(parts)]
    lines += [b"$%d\r\n%s\r\n" % (len(part), part) for part in parts]
    return b"".join(lines)
