# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what requests to Redis or nginx cost while attached and at rest.

One client sends one request at a time, so that no request shares a turn of the server
with others, and requests are counted in small blocks, so that most have no tick of the
clock. Prints a line of JSON: ``native``, ``resting`` and ``again``, natively after:
CPU time of the server's process per request in ns, which are instructions where the
machine counts them: the median of the blocks, the lesser of two turns, since whatever
else runs only adds to it; ``spread``, the middle half of all.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import statistics
import sys
from collections.abc import Iterator

from tests.kernel.resting import rest, tune
from ubypass.bench.server.cpu import cpu_ns
from ubypass.bench.server.nginx import NginxCase, nginx_server
from ubypass.bench.server.redis import RedisCase, redis_server
from ubypass.device.client import Device

_EPOCH = 10  # ms
_BLOCKS = 400
_REQUESTS = 20  # of a block
_TURNS = 2
_VALUE = b"v" * 64
_PAUSE = 0.5  # seconds after which a reply is complete


class _Client:
    """A connection, with a request whose reply always has the same length."""

    def __init__(self, port: int, request: bytes, before: bytes = b"") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._request = request
        if before:
            self._socket.sendall(before)
            self._rest()
        self._socket.sendall(request)
        self._length = self._rest()

    def close(self) -> None:
        self._socket.close()

    def ask(self, count: int) -> None:
        """So many requests, one after the other."""
        for _ in range(count):
            self._socket.sendall(self._request)
            left = self._length
            while left:
                left -= len(self._socket.recv(left)) or sys.exit("it was closed")

    def _rest(self) -> int:
        """Bytes that come until there is a pause."""
        self._socket.settimeout(_PAUSE)
        length = 0
        with contextlib.suppress(TimeoutError):
            while found := self._socket.recv(1 << 16):
                length += len(found)
        self._socket.settimeout(None)
        return length


@contextlib.contextmanager
def _served(name: str) -> Iterator[tuple[int, _Client]]:
    """The process that serves, and a client."""
    if name == "redis":
        with redis_server(RedisCase("GET", len(_VALUE)), 1) as redis:
            value = b"SET key %s\r\n" % _VALUE
            client = _Client(redis.port, b"GET key\r\n", value)
            with contextlib.closing(client):
                yield redis.main, client
    else:
        with nginx_server(NginxCase(4), 1) as nginx:
            client = _Client(nginx.port, b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
            (pid,) = nginx.serving()
            with contextlib.closing(client):
                yield pid, client


def main(name: str) -> int:
    found: dict[str, float] = {}
    spread: dict[str, float] = {}
    with Device() as device, _served(name) as (pid, client):

        def ask() -> None:
            client.ask(_REQUESTS)

        def measure(way: str) -> None:
            blocks = []
            for _ in range(_BLOCKS):
                before = cpu_ns([pid])
                ask()
                blocks.append((cpu_ns([pid]) - before) / _REQUESTS)
            low, median, high = statistics.quantiles(blocks)
            if median < found.get(way, math.inf):
                found[way], spread[way] = median, high - low

        for _ in range(_BLOCKS):
            ask()
        measure("native")
        tune(device, _EPOCH)
        for _ in range(_TURNS):
            proc = device.attach(pid)
            rest(device, [proc], ask)
            before = device.stats(proc)
            measure("resting")
            after = device.stats(proc)
            # It was at rest all the while.
            assert after.resting
            assert after.native == before.native
            device.detach(proc)
            measure("again")
    print(json.dumps({**found, "spread": spread}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
