# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ubypass.bench.server import redis
from ubypass.bench.server.measure import Checked
from ubypass.bench.server.redis import RedisCase
from ubypass.errors import UbError


def test_all_that_is_asked_for() -> None:
    assert len(redis.CASES) == 28
    assert str(RedisCase("GET", 64)) == "GET 64"
    assert str(RedisCase("SET", 1, 16)) == "SET 1, pipeline 16"
    assert redis.select((), (), ()) == redis.CASES
    assert {case.turns for case in redis.CASES if case.pipeline == 1} == {1}
    assert (RedisCase("GET", 1024, 16).turns, RedisCase("GET", 4096, 16).turns) == (
        4,
        1,
    )
    assert redis.select(("GET",), (64,), (1,)) == (RedisCase("GET", 64),)
    for power in range(15):
        assert len(redis.select((), (1 << power,), ())) == 4
    for bad in (0, 65, 1 << 15):
        with pytest.raises(UbError, match="no such case"):
            redis.select((), (bad,), ())


def test_the_cases_of_the_paper() -> None:
    cases = redis.select((), (), (), as_paper=True)
    sizes = [1 << power for power in range(15)]
    for command in "GET", "SET":
        assert [case.size for case in cases if case.command == command] == sizes
    assert len(cases) == 30
    assert {case.pipeline for case in cases} == {1}
    assert redis.select(("SET",), (2,), (), as_paper=True) == (RedisCase("SET", 2),)
    with pytest.raises(UbError, match="--as-paper") as error:
        redis.select((), (), (16,), as_paper=True)
    assert "no pipelines" in error.value.hint


def test_the_rate_that_it_says() -> None:
    text = '"test","rps","avg"\n"GET","52631.58","0.5"\n'
    assert redis._rate(text) == 52631.58
    for bad in ("", "x", '"a","0"\n'):
        with pytest.raises(UbError, match="printed no result"):
            redis._rate(bad)


@pytest.mark.parametrize("case", [RedisCase("GET", 64), RedisCase("SET", 300, 16)])
def test_a_load_and_checks_natively(case: RedisCase) -> None:
    with redis.redis_server(case, 500) as server:
        assert server.serving() == (server.main,)
        assert re.fullmatch(r"redis \d+\.\d+\.\d+", server.version)
        load = server.load()
        assert load.requests == 500 * case.turns
        assert load.elapsed_ns > 0
        assert load.checked == Checked(1, 0)
        assert server.load().checked.wrong == 0
        with server.background():
            assert server.check() == Checked(424, 0)
        directory: Path = server.home
        pid = server.main
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_value_that_is_not_what_it_was_is_seen() -> None:
    with redis.redis_server(RedisCase("SET", 10), 10) as server:
        assert not server._is_right(None, b"")
        assert not server._is_right(b"short", b"")
        assert server._is_right(b"0123456789", b"")
        assert not server._is_right(b"0123456780", b"")
