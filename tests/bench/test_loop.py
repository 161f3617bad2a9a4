# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ubypass.bench.loop import Loop, LoopResult, Workload
from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError


def test_names_and_options() -> None:
    workload = Workload("pread", 17, 64, sum=True)
    assert str(workload) == "pread 64 + sum"
    assert workload.arguments(Path("/f")) == [
        *("--call", "pread", "--size", "64", "--file", "/f", "--sum")
    ]
    assert str(Workload("getppid", 110)) == "getppid"
    assert Workload("getppid", 110).arguments(None) == ["--call", "getppid"]


def test_mean_and_deviation() -> None:
    result = LoopResult(2.0, (1.0, 2.0, 6.0), "0")
    assert result.mean == 3.0
    assert result.deviation == pytest.approx(7**0.5)
    assert LoopResult(2.0, (2.0,), "0").deviation == 0.0


def test_measures() -> None:
    with Loop(build_workload("ioloop"), ["--count", "500", "--rounds", "3"]) as loop:
        assert not loop.ended
        loop.warm()
        loop.ready()
        result = loop.measure()
        # It stands still: whoever looks at counters has time.
        assert not loop.ended
    assert loop.ended
    assert len(result.rounds) == 3
    assert sorted(result.rounds)[1] == pytest.approx(result.median)
    assert int(result.checksum, 16) == 500 * os.getpid()


def cannot_start() -> None:
    with Loop(build_workload("ioloop"), ["--call", "pread"]) as loop:
        loop.warm()
        loop.ready()


def test_a_loop_that_cannot_start_says_so() -> None:
    with pytest.raises(UbError, match="ended early"):
        cannot_start()


def test_leaves_no_process_behind() -> None:
    loop = Loop(build_workload("ioloop"), [])
    with pytest.raises(ZeroDivisionError), loop:
        raise ZeroDivisionError
    assert loop.ended
