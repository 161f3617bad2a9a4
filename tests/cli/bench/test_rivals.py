# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.samples import ICOUNT, record
from tests.bench.uring.samples import comparison, row
from ubypass.bench import io
from ubypass.bench.records import write_records
from ubypass.bench.uring import measure
from ubypass.bench.uring.record import BOOSTED, FIO, LOOP, PLAIN, Row, write_rows
from ubypass.cli.bench import io as bench_io
from ubypass.cli.bench import rivals
from ubypass.cli.bench import show as bench_show
from ubypass.errors import UsageError


def _parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_io.configure(parser)
    return parser.parse_args(words)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[measure.Plan]:
    """What was to be measured."""
    seen: list[measure.Plan] = []

    def compare(plan: measure.Plan, *more: Any) -> Iterator[Row]:
        seen.append(plan)
        for number, program in enumerate(plan.programs):
            yield row(PLAIN, 64, 1, 5.0 + number, program=program)

    monkeypatch.setattr(measure, "compare", compare)
    return seen


def _run(*words: str) -> list[Row]:
    args = _parsed(*words)
    rivals.require(args)
    return rivals.run(args, ICOUNT, io.Plan(), None, lambda _: None)


def _shown(file: Path) -> int:
    return bench_show.run(argparse.Namespace(file=file))


def test_defaults(asked: list[measure.Plan]) -> None:
    _run("--with", "uring", "--with", "fio")
    (plan,) = asked
    assert plan.programs == (LOOP, FIO)
    assert plan.sizes == (64, 256, 1024, 4096)
    assert plan.depths == tuple(1 << n for n in range(11))
    assert set(plan.fio_depths) < set(plan.depths)


def test_options_narrow_them(asked: list[measure.Plan]) -> None:
    _run("--with", "fio", "--size", "64", "--size", "512", "--depth", "4")
    _run("--with", "uring", "--quick")
    few, quick = asked
    assert (few.programs, few.sizes, few.fio_depths) == ((FIO,), (64, 512), (4,))
    assert (quick.sizes, quick.depths) == ((64,), (1, 32))


@pytest.mark.usefixtures("asked")
def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    rows = _run("--with", "uring", "--with", "fio", "--json", str(file))
    assert [each.cost for each in rows] == [5.0, 6.0]
    assert _shown(file) == 0


def test_natively_nothing_is_boosted(asked: list[measure.Plan]) -> None:
    _run("--with", "uring", "--native")
    (plan,) = asked
    assert not plan.boosted
    assert plan.loops.rounds > io.Plan().rounds


@pytest.mark.parametrize(
    "words",
    [
        ("--native",),
        ("--native", "--with", "fio"),
        ("--native", "--with", "uring", "--with", "fio"),
        ("--native", "--with", "uring", "--disk"),
    ],
)
def test_what_native_excludes(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--native"):
        _run(*words)


def test_depths_of_nothing() -> None:
    with pytest.raises(UsageError, match="--depth needs --with"):
        _run("--depth", "3")


@pytest.mark.parametrize(
    "words", [("--with", "aio"), ("--depth", "0"), ("--size", "x")]
)
def test_nonsense_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        _parsed(*words)


def test_what_went_wrong_is_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert rivals.show(comparison()) == 0
    assert rivals.show([row(BOOSTED, 64, 1, None, why_not="too long")]) == 1
    assert rivals.show([row(BOOSTED, 64, 1, 5.0, same_results=False)]) == 1
    assert rivals.show([row(BOOSTED, 64, 1, 5.0, same_results=None)]) == 0
    # What cannot be measured here, or what the engine declines, is no failure.
    assert rivals.show([row(BOOSTED, 64, 1, None, program=FIO)]) == 0
    assert rivals.show([row(PLAIN, 0, 0, None, why_not="no io_uring")]) == 0
    assert "no io_uring" in capsys.readouterr().out


def test_show_tells_both_kinds_of_records_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_records(tmp_path / "io", [record()])
    write_rows(tmp_path / "uring", comparison())
    assert _shown(tmp_path / "io") == 0
    assert _shown(tmp_path / "uring") == 0
    out = capsys.readouterr().out
    assert out.index("One iteration of a loop") < out.index("for one read")
