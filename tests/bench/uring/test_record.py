# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.uring.samples import comparison, row
from ubypass.bench.uring.record import FIO, PLAIN, read_rows, write_rows
from ubypass.errors import UbError


def test_round_trip(tmp_path: Path) -> None:
    rows = [
        *comparison(),
        row(PLAIN, 1, 2, 3.25, program=FIO, place="cached", workers=2, poller=1.5),
        row(PLAIN, 1, 2, 3.0, same_results=None),
    ]
    write_rows(tmp_path / "f", rows)
    assert read_rows(tmp_path / "f") == rows


def test_names_that_others_rely_on() -> None:
    data = comparison()[-1].as_json()
    assert data["way"] == "boosted"
    assert data["cost"] == 1000.0
    for name in ("size", "depth", "place", "unit", "kernel", "erms", "why_not"):
        assert name in data


@pytest.mark.parametrize("text", ["[{}]", '[{"way": "pread"}]', "[1]", "{}", "x"])
def test_something_else(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(UbError, match="contains no records"):
        read_rows(tmp_path / "f")
