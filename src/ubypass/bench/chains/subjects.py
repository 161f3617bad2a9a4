# SPDX-License-Identifier: GPL-2.0-only
"""The subjects of a capture: loops and servers started for it, or any process."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ubypass.bench.chains import dd
from ubypass.bench.chains.capture import Wish, capture
from ubypass.bench.chains.lighttpd import lighttpd_server
from ubypass.bench.chains.memcached import memcached_server
from ubypass.bench.chains.snapshot import Call, Capture, load, save_origin
from ubypass.bench.io import Place, data_file
from ubypass.bench.loop import Loop, Workload
from ubypass.bench.server import nginx, rawsocket, redis
from ubypass.bench.server.cpu import busiest_thread, cpu_ns
from ubypass.bench.server.measure import Load, Loaded
from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError

__all__ = ["NAMES", "Loadable", "Subject", "captured", "process", "scratch", "subject"]

_EPOLL_WAIT, _PREAD, _READ = 232, 17, 0
_STARTED = 0.3  # seconds until a loop runs
_CONNECTED = 1.0  # seconds until all connections of a load are open
_ROUND = 200_000
_READS = frozenset({0, 45, 47})
# Single-stepped commands are slow; none of them belongs in the slow log.
_QUIET = "slowlog-log-slower-than -1\n"


@dataclass(frozen=True, slots=True)
class Subject:
    """A program to capture.

    ``start`` yields its process, or its busy thread, during a load; ``wish``: what to
    capture. ``request_ns`` measures the CPU time of a request before the capture;
    ``counts``: whether a call of the chain counts as a request.
    """

    name: str
    start: Callable[[], AbstractContextManager[int]]
    wish: Wish
    request_ns: Callable[[], float | None]
    counts: Callable[[Call], bool]


def _is_request(call: Call) -> bool:
    return call.nr in _READS and call.kind in "sd" and 0 < call.result < 1 << 63


def captured(wanted: Subject, folder: Path, progress: Callable[[str], None]) -> Capture:
    """Capture ``wanted`` into ``folder``. Raises UbError."""
    progress(f"{wanted.name}: measuring its CPU time")
    request_ns = wanted.request_ns()
    progress(f"{wanted.name}: starting it")
    with wanted.start() as pid:
        progress(f"{wanted.name}: capturing {wanted.wish.calls} system calls")
        found = capture(pid, wanted.name, wanted.wish, folder)
    requests = sum(map(wanted.counts, found.calls))
    origin = replace(
        found.origin, request_ns=request_ns, requests=float(requests) or None
    )
    save_origin(folder, origin)
    return load(folder)


def process(pid: int, wish: Wish) -> Subject:
    """A running process; its CPU time per request is unknown. Raises UbError."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError as error:
        raise UbError(f"there is no process {pid}") from error
    return Subject(
        f"{name} (process {pid})",
        lambda: contextlib.nullcontext(pid),
        wish,
        lambda: None,
        lambda _: False,
    )


def _loop(size: int) -> Subject:
    workload = Workload("pread", _PREAD, size) if size else Workload("getppid", 110)
    return Subject(
        f"loop {workload}",
        partial(_running_loop, workload),
        Wish(calls=60),
        partial(_loop_ns, workload),
        lambda call: call.nr == workload.nr,
    )


@contextlib.contextmanager
def _running_loop(workload: Workload) -> Iterator[int]:
    with data_file(max(1, workload.size) * 64, Place().directory) as file:
        arguments = [
            *workload.arguments(file),
            *("--rounds", "3", "--count", str(_ROUND)),
        ]
        with Loop(build_workload("ioloop"), arguments) as loop:
            time.sleep(_STARTED)
            yield loop.pid
            loop.warm()
            loop.ready()
            loop.measure()


def _loop_ns(workload: Workload) -> float:
    """Native ns per turn, of the fastest round: other programs disturb the rest."""
    with data_file(max(1, workload.size) * 64, Place().directory) as file:
        arguments = [
            *workload.arguments(file),
            *("--rounds", "5", "--count", str(_ROUND)),
        ]
        with Loop(build_workload("ioloop"), arguments) as loop:
            loop.warm()
            loop.ready()
            return min(loop.measure().rounds)


class Loadable(Loaded, Protocol):
    """A running server with its load."""

    def load(self) -> Load:
        """Run the load once."""


_Start = Callable[[], AbstractContextManager[Loadable]]


def _server(
    name: str,
    start: _Start,
    measured: _Start,
    wish: Wish,
) -> Subject:
    return Subject(
        name, partial(_loaded, start), wish, partial(_request_ns, measured), _is_request
    )


@contextlib.contextmanager
def _loaded(start: _Start) -> Iterator[int]:
    with start() as server:
        server.load()
        with server.background():
            time.sleep(_CONNECTED)
            yield busiest_thread(server.serving()[0])


def _request_ns(start: _Start) -> float:
    """CPU time of the server per request, in ns, under full load."""
    with start() as server:
        server.load()
        before = cpu_ns(server.serving())
        load = server.load()
        return (cpu_ns(server.serving()) - before) / load.requests


def _redis(command: str, size: int) -> Subject:
    case = redis.RedisCase(command, size)
    return _server(
        f"redis {case}",
        partial(redis.redis_server, case, 1000, _QUIET),
        partial(redis.redis_server, case, 50_000),
        Wish(after=_EPOLL_WAIT, least=12),
    )


def _nginx(log: bool) -> Subject:
    case = nginx.NginxCase(4, log=log)
    return _server(
        f"nginx {case}",
        partial(nginx.nginx_server, case, 0.5),
        partial(nginx.nginx_server, case, 2.0),
        Wish(after=_EPOLL_WAIT, least=1),
    )


def _raw() -> Subject:
    case = rawsocket.RawCase(64, sum=True)
    return _server(
        f"rawsocket {case}",
        partial(rawsocket.raw_receiver, case, 1000),
        partial(rawsocket.raw_receiver, case, 100_000),
        Wish(calls=60, skip=20),
    )


def _lighttpd() -> Subject:
    return _server(
        "lighttpd 4 KiB",
        partial(lighttpd_server, 4, 0.5),
        partial(lighttpd_server, 4, 2.0),
        Wish(after=_EPOLL_WAIT, least=1),
    )


def _memcached() -> Subject:
    return _server(
        "memcached GET 64",
        partial(memcached_server, 64, 1000),
        partial(memcached_server, 64, 50_000),
        Wish(after=_EPOLL_WAIT, least=12),
    )


def _dd() -> Subject:
    return Subject(
        f"dd bs={dd.BLOCK}",
        dd.copying,
        Wish(calls=60),
        dd.block_ns,
        lambda call: call.nr == _READ,
    )


_SUBJECTS: dict[str, Callable[[], Subject]] = {
    "getppid": partial(_loop, 0),
    "loop": partial(_loop, 64),
    "redis-get": partial(_redis, "GET", 64),
    "redis-get-1k": partial(_redis, "GET", 1024),
    "redis-set": partial(_redis, "SET", 64),
    "redis-set-1k": partial(_redis, "SET", 1024),
    "nginx": partial(_nginx, False),
    "nginx-log": partial(_nginx, True),
    "lighttpd": _lighttpd,
    "memcached": _memcached,
    "rawsocket": _raw,
    "dd": _dd,
}
NAMES = tuple(_SUBJECTS)


def subject(name: str) -> Subject:
    """The subject ``name``, one of :data:`NAMES`."""
    return _SUBJECTS[name]()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary directory for captures, readable by its owner only."""
    with tempfile.TemporaryDirectory(prefix="ub-chains-") as folder:
        yield Path(folder)
