# SPDX-License-Identifier: GPL-2.0-only
"""What operators do to servers, done to boosted ones under load."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ubypass.bench.server import nginx as nginx_bench
from ubypass.bench.server import redis as redis_bench
from ubypass.bench.server.attachment import Attachment, follows_children
from ubypass.bench.server.cpu import children
from ubypass.bench.server.process import free_port, home, needs
from ubypass.bench.server.resp import Client

__all__ = ["nginx", "redis"]

#: Under emulation what is hot is called less often than elsewhere, and gaps are long.
_TUNE = ("--tune=hot_calls=8", "--tune=window_ms=200", "--tune=gap_ns=1000000")
_UB = "tests.guest.stubborn"
_KEYS = 200
_SMALL = redis_bench.RedisCase("SET", 64)
_LIMIT = 60.0  # seconds


def redis() -> dict[str, Any]:
    """DEBUG RELOAD, BGSAVE, eviction and SHUTDOWN, under a load of SETs."""
    result: dict[str, Any] = {}
    with (
        redis_bench.redis_server(_SMALL, 1000) as server,
        Client(server.port) as client,
        Attachment([server.main], _TUNE, _UB) as boost,
    ):

        def dispatched() -> int:
            return boost.figures([server.main]).dispatched

        def stage(name: str, action: Callable[[], object]) -> None:
            """Do it while boosted, and go on until boosted again."""
            _wait_for_more(dispatched, 20)
            result[name] = action()
            _wait_for_more(dispatched, 20)

        values = _fill(client)
        with server.background():
            stage("before", lambda: _wrong(client, values))
            stage("reload", lambda: client.call("DEBUG", "RELOAD") == b"OK")
            result["wrong_after_reload"] = _wrong(client, values)
            stage("bgsave", lambda: _bgsave(client))
            result["saved"] = (server.home / "dump.rdb").stat().st_size > 0
            stage("evicted", lambda: _evict(client))
            result["wrong_after_evicting"] = _wrong(client, values, evicted=True)
        result["checked"] = vars_of(server.check())
        result["dispatched"] = dispatched()
        client.send(("SHUTDOWN", "NOSAVE"))
        result["ended"] = _wait(lambda: not _is_alive(server.main))
    return result


def nginx() -> dict[str, Any]:
    """Reload, reopening of logs and replacement of the whole program, under load."""
    case = nginx_bench.NginxCase(4, log=True, workers=2)
    result: dict[str, Any] = {"follows_children": follows_children()}
    with _nginx_daemon(case) as server:
        options = (*_TUNE, "--children") if follows_children() else _TUNE
        named = [server.main] if follows_children() else server.serving()
        with Attachment(named, options, _UB) as boost, server.background():

            def dispatched() -> int:
                return boost.figures(server.serving()).dispatched

            _wait_for_more(dispatched, 20)
            result["before"] = vars_of(server.check())
            log = server.home / "access"
            log.rename(server.home / "old")
            os.kill(server.main, signal.SIGUSR1)
            result["reopened"] = _wait(lambda: log.exists() and log.stat().st_size > 0)
            _wait_for_more(dispatched, 20)
            result["after_reopening"] = vars_of(server.check())

            old = server.serving()
            os.kill(server.main, signal.SIGHUP)
            result["reloaded"] = _wait(lambda: not set(old) & set(server.serving()))
            result["after_reload"] = vars_of(server.check())
            if follows_children():
                _wait_for_more(dispatched, 20)

            before = server.main
            os.kill(before, signal.SIGUSR2)
            result["upgraded"] = _wait(lambda: _pid_of(server.home) not in (0, before))
            os.kill(before, signal.SIGQUIT)
            result["old_ended"] = _wait(lambda: not _is_alive(before))
            server.main = _pid_of(server.home)
            result["after_upgrade"] = vars_of(server.check())
        result["native_again"] = vars_of(server.check())
        errors = (server.home / "errors").read_text().splitlines()
        # Notices and a file that is not there are what we asked for.
        expected = ("[notice]", "/www/nothing")
        result["errors"] = [
            line for line in errors if not any(word in line for word in expected)
        ]
    return result


@contextlib.contextmanager
def _nginx_daemon(
    case: nginx_bench.NginxCase,
) -> Iterator[nginx_bench.Nginx]:
    """In the background, as its upgrade needs it; all of it is ended at the end."""
    with home("nginx") as directory:
        port = free_port()
        conf = nginx_bench.write_conf(directory, port, case, daemon=True)
        program = needs("nginx", "nginx")
        subprocess.run(
            [program, "-p", str(directory), "-c", str(conf)],
            stdin=subprocess.DEVNULL,
            check=True,
        )
        _wait(lambda: len(children(_pid_of(directory))) == case.workers)
        server = nginx_bench.Nginx(case, 1, _pid_of(directory), port, directory)
        try:
            yield server
        finally:
            last = _pid_of(directory)
            if last:
                os.kill(last, signal.SIGTERM)
                _wait(lambda: not _is_alive(last))


def _pid_of(directory: Path) -> int:
    try:
        return int((directory / "pid").read_text())
    except (OSError, ValueError):
        return 0


def _fill(client: Client) -> dict[str, bytes]:
    chance = random.Random(7)
    values = {f"keep:{i}": chance.randbytes(1 + i * 13 % 2000) for i in range(_KEYS)}
    client.send(*(("SET", key, value) for key, value in values.items()))
    assert all(client.receive() == b"OK" for _ in values)
    return values


def _wrong(client: Client, values: dict[str, bytes], *, evicted: bool = False) -> int:
    """How many values are not what they were (or, if so, gone)."""
    client.send(*(("GET", key) for key in values))
    replies = [client.receive() for _ in values]
    good = [
        reply == value or (evicted and reply is None)
        for reply, value in zip(replies, values.values(), strict=True)
    ]
    return good.count(False)


def _bgsave(client: Client) -> str:
    """What redis says of the last save, once it is over."""
    client.call("BGSAVE")
    _wait(lambda: _info(client, "rdb_bgsave_in_progress") == "0")
    return _info(client, "rdb_last_bgsave_status")


def _evict(client: Client) -> bool:
    """Whether redis stays within a limit by dropping keys."""
    limit = int(_info(client, "used_memory")) + (1 << 20)
    client.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    client.call("CONFIG", "SET", "maxmemory", str(limit))
    for number in range(100):
        client.call("SET", f"more:{number}", b"x" * 40_000)
    stayed = int(_info(client, "used_memory")) <= limit + (1 << 20)
    client.call("CONFIG", "SET", "maxmemory", "0")
    return stayed and int(_info(client, "evicted_keys")) > 0


def _info(client: Client, name: str) -> str:
    text = client.call("INFO", "everything")
    assert isinstance(text, bytes)
    for line in text.decode().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value
    raise LookupError(name)


def vars_of(checked: Any) -> list[int]:
    """As JSON: how many replies were compared, and how many were wrong."""
    return [checked.checked, checked.wrong]


def _wait_for_more(count: Callable[[], int], more: int) -> None:
    goal = count() + more
    if not _wait(lambda: count() >= goal):
        raise TimeoutError(f"nothing is dispatched: {count()}, wanted {goal}")


def _wait(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _LIMIT
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
