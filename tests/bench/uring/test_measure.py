# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.samples import ICOUNT, record
from ubypass.bench import io
from ubypass.bench.loop import Workload
from ubypass.bench.records import Record
from ubypass.bench.uring import fio, measure, program
from ubypass.bench.uring.record import FIO, LOOP, SQPOLL, Row

_PLAN = io.Plan(round_instructions=1000, rounds=2)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No guest: what was done, in order."""
    done: list[str] = []

    def read(way: str, file: Path, reads: program.Reads) -> program.Result:
        batches = -(-reads.count // reads.depth)
        assert file.stat().st_size >= batches * reads.depth * reads.size
        done.append(f"{way} {reads.size} {reads.depth} {file.parent}")
        return program.Result(reads.size / reads.depth, 9.0, 0, 0.0)

    def loops(workloads: Sequence[Workload], *more: Any) -> Iterator[Record]:
        disk = more[-1]
        for each in workloads:
            done.append(f"{each} {disk}")
            place = "cached" if disk else "memory"
            rate = 0.5 if each.size == 256 else 1.0
            yield record(size=each.size, place=place, bypass_rate=rate, why_not=("x",))

    monkeypatch.setattr(program, "read", read)
    monkeypatch.setattr(program, "why_not", lambda way: "no" if way == SQPOLL else "")
    monkeypatch.setattr(io, "measure_all", loops)
    return done


def _compare(sizes: Sequence[int], disk: Path | None = None) -> list[Row]:
    plan = measure.Plan((LOOP,), tuple(sizes), (1, 8), loops=_PLAN)
    return list(measure.compare(plan, ICOUNT, lambda _: None, disk))


def test_io_uring_comes_before_anything_is_attached(
    played: list[str], tmp_path: Path
) -> None:
    rows = _compare((64,), tmp_path)
    first = played.index("pread 64 None")
    assert [each.split()[0] for each in played[:first]] == ["plain", "registered"] * 4
    assert played[first + 1 :] == [f"pread 64 {tmp_path}"]
    assert {row.place for row in rows} == {"memory", "cached"}


def test_every_way_size_and_depth(played: list[str]) -> None:
    rows = _compare((64, 256))
    assert [(row.way, row.size, row.depth, row.cost) for row in rows] == [
        ("sqpoll", 0, 0, None),
        *((way, 64, 1, 64.0) for way in ("plain", "registered")),
        *((way, 64, 8, 8.0) for way in ("plain", "registered")),
        *((way, 256, 1, 256.0) for way in ("plain", "registered")),
        *((way, 256, 8, 32.0) for way in ("plain", "registered")),
        *(("pread", 64, 1, 1400.0), ("boosted", 64, 1, 1250.0)),
        # What was not boosted is no figure of boosting.
        *(("pread", 256, 1, 1400.0), ("boosted", 256, 1, None)),
    ]
    assert rows[0].why_not == "no"
    assert rows[-1].why_not == "x"
    assert played


def test_natively_cpu_time_counts_and_nothing_is_boosted(
    played: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io, "measure_native", lambda *_: 250.0)
    timed = replace(ICOUNT, unit="ns")
    plan = measure.Plan((LOOP,), (64,), (1,), loops=_PLAN, boosted=False)
    rows = list(measure.compare(plan, timed, lambda _: None))
    assert [(row.way, row.cost, row.elapsed) for row in rows if row.cost] == [
        *((way, 9.0, 64.0) for way in ("plain", "registered")),
        ("pread", 250.0, 0.0),
    ]
    assert len(played) == 2


@pytest.mark.usefixtures("played")
def test_without_io_uring_the_loops_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "why_not", lambda way: "this kernel has no io_uring")
    rows = _compare((64,))
    assert [row.why_not for row in rows if row.cost is None] == (
        ["this kernel has no io_uring"] * 3
    )
    assert [row.way for row in rows if row.cost is not None] == ["pread", "boosted"]


def test_fio_s_io_uring_comes_before_anything_is_attached_as_well(
    played: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(name: str) -> Callable[..., Iterator[Row]]:
        def rows(*_: Any) -> Iterator[Row]:
            played.append(name)
            return iter(())

        return rows

    monkeypatch.setattr(fio, "why_not", lambda: "")
    monkeypatch.setattr(fio, "rivals", play("fio uring"))
    monkeypatch.setattr(fio, "psync", play("fio psync"))
    plan = measure.Plan((LOOP, FIO), (64,), (1,), loops=_PLAN)
    rows = list(measure.compare(plan, ICOUNT, lambda _: None))
    (polled,) = (row for row in rows if (row.program, row.way) == (FIO, SQPOLL))
    assert (polled.cost, polled.why_not) == (None, "no")
    kinds = [each.split(" /")[0] for each in played]
    assert kinds[-3:] == ["fio uring", "pread 64 None", "fio psync"]
    assert [each.split()[0] for each in kinds[:-3]] == ["plain", "registered"]


def test_without_fio_one_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fio, "why_not", lambda: "fio is not installed")
    (row,) = measure.compare(measure.Plan((FIO,)), ICOUNT, lambda _: None)
    assert (row.program, row.cost, row.why_not) == (FIO, None, "fio is not installed")
