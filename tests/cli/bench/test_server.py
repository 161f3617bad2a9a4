# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.bench.samples import ICOUNT
from ubypass.bench import modules
from ubypass.bench.server import tarball
from ubypass.bench.server.measure import AS_PAPER, Plan, Setting
from ubypass.bench.server.steady import Steady
from ubypass.cli.bench import server as bench_server
from ubypass.errors import UbError


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_server.configure(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("redis",), 28),
        (("redis", "--command", "GET", "--size", "64"), 2),
        (("redis", "--pipeline", "1", "--size", "1", "--size", "16"), 4),
        (("redis", "--size", "2", "--size", "8192"), 8),
        (("redis", "--as-paper"), 30),
        (("redis", "--as-paper", "--command", "GET", "--size", "4"), 1),
        (("redis", "--quick"), 1),
        (("redis", "--quick", "--pipeline", "16", "--size", "16384"), 2),
        (("nginx",), 20),
        (("nginx", "--log", "off", "--workers", "2"), 5),
        (("nginx", "--as-paper"), 5),
        (("nginx", "--as-paper", "--log", "on", "--size", "4"), 1),
        (("nginx", "--quick"), 1),
        (("nginx", "--quick", "--log", "on", "--workers", "2", "--size", "4"), 1),
        (("rawsocket",), 4),
        (("rawsocket", "--size", "1024"), 2),
        (("rawsocket", "--quick"), 1),
    ],
)
def test_chooses_cases(words: tuple[str, ...], count: int) -> None:
    assert len(bench_server._starts(parsed(*words))) == count


@pytest.mark.parametrize("server", ["redis", "nginx", "rawsocket"])
def test_no_such_case(server: str) -> None:
    with pytest.raises(UbError, match=f"no such case of {server}"):
        bench_server._starts(parsed(server, "--size", "3"))


@pytest.mark.parametrize("words", [("redis",), ("redis", "--quick")])
def test_waits_long_enough_to_see_that_a_server_has_settled(
    words: tuple[str, ...],
) -> None:
    plan = bench_server._plan(parsed(*words))
    assert plan.looks * plan.look > 2 * (Steady().undecided + plan.look)


def test_a_quick_look_has_a_median() -> None:
    # One look of the engine falls into one run at most.
    assert bench_server._plan(parsed("rawsocket", "--quick")).runs % 2 == 1


def test_as_in_the_paper() -> None:
    for server in "redis", "nginx":
        plan = bench_server._plan(parsed(server, "--as-paper", "--cycles", "2"))
        assert plan == replace(AS_PAPER, cycles=2)
    assert bench_server._plan(parsed("redis")).runs == 5
    assert bench_server._plan(parsed("redis", "--runs", "7")).runs == 7


@pytest.mark.parametrize(
    "words",
    [
        ("redis", "--as-paper", "--quick"),
        ("redis", "--as-paper", "--runs", "5"),
        ("nginx", "--runs", "5", "--as-paper"),
        ("nginx", "--quick", "--runs", "9"),
    ],
)
def test_only_one_way_to_say_how_much(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert "not allowed with" in capsys.readouterr().err


def test_a_rival_that_is_missing_has_a_line_for_each_case(tmp_path: Path) -> None:
    setting = Setting(ICOUNT, 200.0, "ub bench server redis")
    words = ("redis", "--command", "GET", "--size", "64", "--fstack", str(tmp_path))
    plan = Plan()
    assert bench_server._beside(parsed(*words), plan, setting, print) == []
    args = parsed(*words, "--beside", "fstack")
    found = bench_server._beside(args, plan, setting, lambda step: None)
    assert [each.case for each in found] == ["GET 64", "GET 64, pipeline 16"]
    assert {each.not_run for each in found} == {
        f"no F-Stack: {tmp_path}/app/redis-*/src/redis-server is missing"
    }


def test_redis_from_a_tarball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "redis-6.2.6.tar.gz"
    file.write_bytes(b"x")
    args = parsed("redis", "--quick", "--tarball", str(file))
    server = tmp_path / "redis-server"
    monkeypatch.setattr(tarball, "build_redis", lambda *_: server)
    monkeypatch.setattr(modules, "in_lab", lambda: False)
    (start,) = bench_server._starts(args)
    assert cast(Any, start).keywords == {"command": (str(server),)}
    monkeypatch.setattr(modules, "in_lab", lambda: True)
    with pytest.raises(UbError, match="has not been built yet") as error:
        bench_server._starts(parsed("redis", "--tarball", str(file)))
    assert error.value.hint == f"on the host: ub bench prepare --redis {file}"
    monkeypatch.setattr(tarball, "built_redis", lambda file: server)
    assert len(bench_server._starts(parsed("redis", "--tarball", str(file)))) == 28


def test_recordings_of_an_earlier_time_are_gone(tmp_path: Path) -> None:
    old = tmp_path / "new" / "redis-GET-64.builds"
    assert bench_server._emptied(None) is None
    assert bench_server._emptied(old.parent) == old.parent
    old.write_text("")
    (old.parent / "kept").write_text("")
    bench_server._emptied(old.parent)
    assert [path.name for path in old.parent.iterdir()] == ["kept"]
    with pytest.raises(UbError, match="cannot write to"):
        bench_server._emptied(old.parent / "kept")


def test_says_how_long_it_will_take() -> None:
    assert bench_server._times(3.0, 1, 28) == "3 s"
    assert bench_server._times(60.0, 4, 28) == "60 s of about 560 s"


def test_no_such_server(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("apache")
    assert "invalid choice" in capsys.readouterr().err
