# SPDX-License-Identifier: GPL-2.0-only
"""redis-server under redis-benchmark: GET and SET of values of one size.

As in the artifact of the paper on Userspace Bypass (its README): values of 2^0 to 2^14
bytes; each test of GET starts with a SET of the same size; 50 clients, which is
redis-benchmark's default; no pipeline. Otherwise than there: no persistence, because
the artifact's configuration is not known; ``-n`` by the options instead of 1,000,000;
one thread of the load instead of two, because with one processor a second one only adds
switches.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ubypass.bench.server.cases import choose
from ubypass.bench.server.measure import Checked, Load
from ubypass.bench.server.process import (
    at_once,
    free_port,
    home,
    needs,
    output_of,
    running,
    started,
    version_of,
)
from ubypass.bench.server.resp import Client
from ubypass.errors import UbError

__all__ = [
    "AS_PAPER",
    "CASES",
    "CONF",
    "EVERY",
    "QUICK",
    "Redis",
    "RedisCase",
    "redis_server",
    "select",
]

#: No persistence, one address, no configuration from the system.
CONF = """
bind {host}
port {port}
save ""
appendonly no
daemonize no
dir {home}
logfile {home}/log
"""

#: For tests; supported since redis 7.
_DEBUG = "enable-debug-command yes\n"

_CLIENTS = 50
_SMALL = 1024  # bytes
_ENDLESS = 1_000_000_000
_KEY = "key:__rand_int__"  # as redis-benchmark writes it without -r
_CHECKS = 100


@dataclass(frozen=True, slots=True)
class RedisCase:
    """``command``: GET or SET; ``size``: bytes of the value; ``pipeline``: depth."""

    command: str
    size: int
    pipeline: int = 1

    @property
    def turns(self) -> int:
        """The factor on the usual number of requests of a run.

        Small requests in a pipeline cost a quarter, and a run should be long compared
        with the periodic work of the engine.
        """
        return 4 if self.pipeline > 1 and self.size <= _SMALL else 1

    def __str__(self) -> str:
        depth = f", pipeline {self.pipeline}" if self.pipeline > 1 else ""
        return f"{self.command} {self.size}{depth}"


#: All cases that can be chosen.
EVERY: tuple[RedisCase, ...] = tuple(
    RedisCase(command, 1 << power, pipeline)
    for pipeline in (1, 16)
    for command in ("GET", "SET")
    for power in range(15)
)
#: The cases of the usual sizes.
CASES: tuple[RedisCase, ...] = tuple(
    case for case in EVERY if case.size in (1, 16, 64, 256, 1024, 4096, 16384)
)
#: The cases of the paper on Userspace Bypass.
AS_PAPER: tuple[RedisCase, ...] = tuple(case for case in EVERY if case.pipeline == 1)
QUICK: tuple[RedisCase, ...] = (RedisCase("GET", 64),)


def select(
    commands: tuple[str, ...],
    sizes: tuple[int, ...],
    pipelines: tuple[int, ...],
    as_paper: bool = False,
) -> tuple[RedisCase, ...]:
    """The cases of those commands, sizes and depths; if empty, of all values.

    Without ``sizes``, cases of the usual sizes; with ``as_paper``, of all sizes, but
    without pipelining. Raises UbError if there is none.
    """
    wanted = {"command": commands, "size": sizes, "pipeline": pipelines}
    known = "sizes are the powers of two from 1 to 16384"
    if as_paper:
        known += "; the paper has no pipelines"
        return choose("redis --as-paper", AS_PAPER, wanted, known)
    known += "; pipelines 1 and 16"
    return choose("redis", EVERY if sizes else CASES, wanted, known)


@contextlib.contextmanager
def redis_server(
    case: RedisCase,
    requests: int,
    more_conf: str = "",
    command: Sequence[str] = (),
    host: str = "127.0.0.1",
    version: str | None = None,
    reachable: Callable[[], bool] = at_once,
) -> Iterator[Redis]:
    """A running redis, with a load of ``requests`` per run.

    ``more_conf``: further lines of its configuration. ``command``: starts a redis other
    than the system's; ``host``: its address; ``version``: see ServerRecord, None to ask
    the program; ``reachable``: see :func:`ubypass.bench.server.process.started`.
    """
    needs("redis-benchmark", "redis-tools")
    with home("redis") as directory:
        port = free_port()
        conf = directory / "redis.conf"
        more = more_conf if command else _DEBUG + more_conf
        conf.write_text(CONF.format(port=port, home=directory, host=host) + more)
        command = command or [needs("redis-server", "redis-server")]
        if version is None:
            version = version_of("redis", [*command, "--version"])
        with (
            started([*command, str(conf)], port, directory, host, reachable) as pid,
            Client(port, host) as client,
        ):
            yield Redis(case, requests, pid, port, client, directory, host, version)


class Redis:
    """See :class:`ubypass.bench.server.measure.Server`.

    ``helpers``: pids of kernel threads that work for it only.
    """

    name = "redis"
    by_time = False

    def __init__(
        self,
        case: RedisCase,
        requests: int,
        pid: int,
        port: int,
        client: Client,
        directory: Path,
        host: str = "127.0.0.1",
        version: str = "",
    ) -> None:
        self.case = str(case)
        self.version = version
        self.main = pid
        self.port = port
        self.home = directory
        self.helpers: tuple[int, ...] = ()
        self._host = host
        self._case = case
        self._requests = requests * case.turns
        self._client = client
        self._chance = random.Random(case.size)
        self._written: bytes | None = None  # the value that redis-benchmark sets

    def serving(self) -> tuple[int, ...]:
        """The pid of the only process, and those of its helpers."""
        return (self.main, *self.helpers)

    def load(self) -> Load:
        """Run redis-benchmark; its value is read back and compared."""
        value = self._chance.randbytes(self._case.size)
        if self._case.command == "GET":
            self._client.call("SET", _KEY, value)
        else:
            self._client.call("DEL", _KEY)
        out = output_of([*self._command(self._requests), "--csv"])
        rate = _rate(out)
        left = self._client.call("GET", _KEY)
        return Load(
            self._requests,
            round(self._requests * 1e9 / rate),
            Checked(1, 0 if self._is_right(left, value) else 1),
        )

    def background(self) -> AbstractContextManager[None]:
        """An endless load by redis-benchmark."""
        self._client.call("SET", _KEY, self._chance.randbytes(self._case.size))
        return running(self._command(_ENDLESS))

    def check(self) -> Checked:
        """Set and get other values, one by one and in pipelines."""
        wrong = 0
        for depth in (1, 16):
            for first in range(0, _CHECKS, depth):
                values = {
                    f"check:{first + i}": self._chance.randbytes(self._case.size)
                    for i in range(depth)
                }
                self._client.send(*(("SET", k, v) for k, v in values.items()))
                wrong += sum(self._client.receive() != b"OK" for _ in values)
                self._client.send(*(("GET", key) for key in values))
                wrong += sum(self._client.receive() != v for v in values.values())
        return Checked(2 * (_CHECKS + -(-_CHECKS // 16) * 16), wrong)

    def _is_right(self, left: object, value: bytes) -> bool:
        if self._case.command == "GET":
            return left == value
        # The value of redis-benchmark, the same in every run.
        if not isinstance(left, bytes) or len(left) != self._case.size:
            return False
        if self._written is None:
            self._written = left
        return left == self._written

    def _command(self, requests: int) -> list[str]:
        return [
            needs("redis-benchmark", "redis-tools"),
            *("-h", self._host, "-p", str(self.port)),
            *("-t", self._case.command.lower(), "-d", str(self._case.size)),
            *("-c", str(_CLIENTS), "-P", str(self._case.pipeline)),
            *("-n", str(requests)),
        ]


def _rate(csv: str) -> float:
    """Requests per second in the output of ``redis-benchmark --csv``."""
    try:
        rate = float(csv.splitlines()[-1].split(",")[1].strip('"'))
        if rate > 0:
            return rate
    except (IndexError, ValueError):
        pass
    raise UbError(f"redis-benchmark printed no result but {csv!r}")
