# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.packets.samples import table_of_records
from tests.bench.samples import ICOUNT
from ubypass.bench import machine, modules
from ubypass.bench.packets import measure
from ubypass.bench.packets.record import PacketRecord
from ubypass.cli.bench import packets as bench_packets
from ubypass.errors import UbError


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_packets.configure(parser)
    return parser.parse_args(words)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What measuring was asked for; its answer is made up, the modules are missing."""
    calls: list[tuple[Any, ...]] = []

    def played(*words: Any) -> Iterator[PacketRecord]:
        calls.append(words)
        yield from table_of_records()

    def missing(*_: object) -> None:
        raise UbError("cannot measure here: /dev/ub missing")

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(modules, "ensure_loaded", missing)
    monkeypatch.setattr(machine, "describe", lambda: ICOUNT)
    monkeypatch.setattr(measure, "measure_all", played)
    return calls


@pytest.mark.parametrize(
    ("words", "cases", "packets"),
    [
        ((), ["64 bytes", "64 bytes, sum", "1024 bytes", "1024 bytes, sum"], 10_000),
        (("--quick",), ["64 bytes", "64 bytes, sum"], 2_000),
        (("--size", "9", "--packets", "5"), ["9 bytes", "9 bytes, sum"], 5),
    ],
)
def test_cases(
    asked: list[tuple[Any, ...]], words: tuple[str, ...], cases: list[str], packets: int
) -> None:
    assert bench_packets.run(parsed(*words)) == 0
    assert [str(case) for case in asked[0][0]] == cases
    assert asked[0][2].packets == packets


def test_records_and_what_is_missing(
    asked: list[tuple[Any, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "records"
    assert bench_packets.run(parsed("--json", str(file))) == 0
    shown = capsys.readouterr()
    assert shown.err == "bench: cannot measure here: /dev/ub missing\n"
    assert len(json.loads(file.read_text())) == len(table_of_records())
    assert "AF_XDP ring: not run: cannot make a map" in shown.out


def test_what_is_wrong_fails(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.bench.packets.samples import packet_record

    monkeypatch.setattr(
        measure, "measure_all", lambda *_: iter([packet_record(wrong=1)])
    )
    assert bench_packets.run(parsed()) == 1


def test_only_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UbError, match="need root") as caught:
        bench_packets.run(parsed())
    assert "ub lab run --icount -- ub" in caught.value.hint


@pytest.mark.parametrize("size", ["0", "1473", "x"])
def test_sizes_that_no_frame_holds(size: str) -> None:
    with pytest.raises(SystemExit):
        parsed("--size", size)
