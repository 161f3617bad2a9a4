# SPDX-License-Identifier: GPL-2.0-only
"""Boosting redis servers that live for seconds only: what one has taught serves all.

Emulated, a build takes seconds. So one server is boosted until its regions stand, and
those that follow, which have the same code at the same addresses, get the same
translations at once. The module compares the code that they come from each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ubypass.bench.server.process import free_port, home, needs, started
from ubypass.bench.server.resp import Client
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.engine import Engine
from ubypass.engine.knowledge import Knowledge
from ubypass.engine.ports import MemoryLike
from ubypass.errors import UbError
from ubypass.process.status import identify

__all__ = ["FIXED", "Remembering", "train"]

#: Runs what follows at the same addresses each time.
FIXED = ("setarch", "-R")

#: Seconds of load at least after the last translation, and at most in all.
_SETTLED = 5.0
_LIMIT = 120.0
_COMMANDS = 8  # of each kind between two looks at the engine
_DISPATCHED = 500
_STEP = 0.05  # seconds

_Build = Callable[[Knowledge, MemoryLike], Built]


class Remembering:
    """``build``; from :meth:`settle` on, nothing but what it has built until then.

    Of that, whatever has the most of the sites that it is asked for.
    """

    def __init__(self, build: _Build) -> None:
        self._build = build
        self._built: list[Built] = []
        self._settled = False

    def __call__(self, knowledge: Knowledge, memory: MemoryLike) -> Built:
        asked = set(knowledge.entries)
        if not self._settled:
            built = self._build(knowledge, memory)
            self._built.insert(0, built)
            return built
        best = max(self._built, key=lambda built: len(asked & _sites(built)))
        if not asked & _sites(best):
            raise NothingToBuild
        return best

    def settle(self) -> None:
        """What is known now is what will be used."""
        self._settled = True


def _sites(built: Built) -> set[int]:
    return {entry.user_ip for entry in built.translation.entries}


def train(engine: Engine, limit: float = _LIMIT) -> Knowledge:
    """Boost a server under a load of commands; what was learned from it.

    Raises UbError if it is not boosted in time.
    """
    with home("redis") as directory:
        port = free_port()
        program = needs("redis-server", "redis-server")
        command = [*FIXED, program, "--port", str(port), "--dir", str(directory)]
        command += ["--bind", "127.0.0.1", "--save", ""]
        with started(command, port, directory) as pid, Client(port) as client:
            target = engine.attach(identify(pid))
            engine.watch_end(target)
            began = loaded = time.monotonic()
            loads = 0
            while time.monotonic() - loaded < _SETTLED:
                _talk(client)
                engine.step(0)
                summary = target.summary()
                if summary.loads != loads:
                    loads, loaded = summary.loads, time.monotonic()
                if target.refresh_stats().dispatched < _DISPATCHED:
                    loaded = time.monotonic()
                if time.monotonic() - began > limit:
                    if target.refresh_stats().dispatched < _DISPATCHED:
                        raise UbError(f"redis is not boosted: {summary.as_json()}")
                    break
            knowledge = target.knowledge.inherited()
    while engine.targets:
        engine.step(_STEP)
    return knowledge


def _talk(client: Client) -> None:
    """Some of what the tests do: kinds of values, errors, pipelines, replies."""
    for number in range(_COMMANDS):
        client.call("SET", f"key:{number}", "x" * number)
        client.call("GET", f"key:{number}")
        client.call("INCR", "count")
        client.call("LPUSH", "list", "x" * number)
        client.call("LPOP", "count")
        client.call("HSET", "hash", f"field:{number}", "x")
        client.call("ZADD", "sorted", str(number), f"member:{number}")
        client.call("DEL", f"key:{number}")
    for command in (("LRANGE", "list", "0", "-1"), ("HGETALL", "hash"), ("PING",)):
        client.call(*command)
        client.send(*[command] * 5)
        for _ in range(5):
            client.receive()
    client.call("DEL", "list", "hash", "sorted")
