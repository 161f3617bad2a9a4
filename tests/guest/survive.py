# SPDX-License-Identifier: GPL-2.0-only
"""What operators do to redis, done to a boosted one under load."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from tests.guest.waiting import TUNE, UB, is_alive, wait, wait_for_more
from ubypass.bench.server.attachment import Attachment
from ubypass.bench.server.redis import RedisCase, redis_server
from ubypass.bench.server.resp import Client

__all__ = ["redis"]

_KEYS = 200
_SMALL = RedisCase("SET", 64)


def redis() -> dict[str, Any]:
    """DEBUG RELOAD, BGSAVE, eviction and SHUTDOWN, under a load of SETs."""
    result: dict[str, Any] = {}
    with (
        redis_server(_SMALL, 1000) as server,
        Client(server.port) as client,
        Attachment([server.main], TUNE, UB) as boost,
    ):

        def dispatched() -> int:
            return boost.figures([server.main]).dispatched

        def stage(name: str, action: Callable[[], object]) -> None:
            """Do it while boosted, and go on until boosted again."""
            wait_for_more(dispatched, 20)
            result[name] = action()
            wait_for_more(dispatched, 20)

        values = _fill(client)
        with server.background():
            stage("before", lambda: _wrong(client, values))
            stage("reload", lambda: client.call("DEBUG", "RELOAD") == b"OK")
            result["wrong_after_reload"] = _wrong(client, values)
            stage("bgsave", lambda: _bgsave(client))
            result["saved"] = (server.home / "dump.rdb").stat().st_size > 0
            stage("evicted", lambda: _evict(client))
            result["wrong_after_evicting"] = _wrong(client, values, evicted=True)
        result["checked"] = astuple(server.check())
        result["dispatched"] = dispatched()
        client.send(("SHUTDOWN", "NOSAVE"))
        result["ended"] = wait(lambda: not is_alive(server.main))
    return result


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
    wait(lambda: _info(client, "rdb_bgsave_in_progress") == "0")
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
