# SPDX-License-Identifier: GPL-2.0-only
"""Boosting redis servers that live for seconds only: what one has taught serves all.

Emulated, a build takes seconds. So one server is boosted until its regions stand, and
those that follow, which have the same code at the same addresses, get the same
translations at once. The module compares the code that they come from each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ubypass.abi import SiteKey
from ubypass.bench.server.process import free_port, home, needs, started
from ubypass.bench.server.resp import Client
from ubypass.device.types import Stats
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.engine import Engine
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.errors import UbError
from ubypass.process.status import identify

__all__ = ["FIXED", "Remembering", "train"]

#: Runs what follows at the same addresses each time.
FIXED = ("setarch", "-R")

#: Seconds of load after the last translation; in all, once it is boosted; and until
#: then.
_SETTLED = 5.0
_LIMIT = 60.0
_PATIENCE = 300.0
_COMMANDS = 8  # of each kind between two looks at the engine

#: Calls that tell something, and the share of them that is dispatched in a server that
#: is boosted: of each command's three at most one, for the others end in a switch.
_TELLING = 200
_BOOSTED = 0.15
_STEP = 0.05  # seconds

_Build = Callable[[Profile, MemoryLike], Built]


class Remembering:
    """``build``; from :meth:`settle` on, nothing but what it has built until then.

    Of that, whatever has the most of the sites that it is asked for.
    """

    def __init__(self, build: _Build) -> None:
        self._build = build
        self._built: list[Built] = []
        self._settled = False

    def __call__(self, profile: Profile, memory: MemoryLike) -> Built:
        asked = set(profile.entries)
        if not self._settled:
            built = self._build(profile, memory)
            self._built.insert(0, built)
            return built
        best = max(self._built, key=lambda built: len(asked & _sites(built)))
        if not asked & _sites(best):
            raise NothingToBuild
        return best

    def settle(self) -> None:
        """What is known now is what will be used."""
        self._settled = True


def _sites(built: Built) -> set[SiteKey]:
    return {entry.key for entry in built.translation.entries}


def train(engine: Engine, limit: float = _LIMIT) -> Profile:
    """Boost a server under a load of commands; what was learned from it.

    Takes ``limit`` seconds, more only if it is not boosted by then. Raises UbError if
    it never is.
    """
    with home("redis") as directory:
        port = free_port()
        program = needs("redis-server", "redis-server")
        command = [*FIXED, program, "--port", str(port), "--dir", str(directory)]
        command += ["--bind", "127.0.0.1", "--save", ""]
        with started(command, port, directory) as pid, Client(port) as client:
            target = engine.attach(identify(pid))
            engine.watch_end(target)
            began = time.monotonic()
            loaded, loads = began, 0
            before = target.refresh_stats()
            while True:
                _talk(client)
                engine.step(0)
                now = time.monotonic()
                if target.summary().loads != loads:
                    loads, loaded = target.summary().loads, now
                    before = target.refresh_stats()
                if _share(before, target.refresh_stats()) >= _BOOSTED:
                    if now - loaded > _SETTLED or now - began > limit:
                        break
                elif now - began > _PATIENCE:
                    raise UbError(f"redis is not boosted: {target.summary()}")
            profile = target.profile.inherited()
    while engine.targets:
        engine.step(_STEP)
    return profile


def _share(before: Stats, after: Stats) -> float:
    """Of the calls between two looks, those dispatched; 0 if they are too few."""
    dispatched = after.dispatched - before.dispatched
    calls = dispatched + after.native - before.native
    return dispatched / calls if calls >= _TELLING else 0.0


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
