# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.samples import record
from ubypass.bench.records import write_json

Ub = Callable[..., int]


def test_from_files_to_a_file(
    ub: Ub, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = measured.parent / "docs" / "results.md"
    files = (measured / "redis.json", measured / "io.json")
    assert ub("bench", "results", out, *files) == 0
    text = out.read_text()
    assert text.index("## redis") < text.index("## Loops")
    assert capsys.readouterr() == ("", "")
    again = measured.parent / "again.md"
    assert ub("bench", "results", again, *files) == 0
    assert again.read_text() == text


def test_a_line_for_each_bad_file_and_the_others_all_the_same(
    ub: Ub, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = record().as_json()
    del old["handler"]
    write_json(measured / "old.json", [old])
    (measured / "broken.json").write_text("{")
    files = [measured / f"{name}.json" for name in ("old", "broken", "none", "io")]
    out = measured.parent / "results.md"
    assert ub("bench", "results", out, *files) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("ub: ") for line in lines] == [True] * 3
    assert "no 'handler'" in lines[0]
    assert "measure again" in lines[0]
    assert "broken.json is not JSON" in lines[1]
    assert "none.json" in lines[2]
    assert all("--json" in line for line in lines[1:])
    text = out.read_text()
    assert "| pread 64 |" in text
    assert "Left out: " in text


def test_foreign_files_of_a_directory_are_no_failure(
    ub: Ub, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (measured / "package.json").write_text('{"name": "x"}')
    out = measured.parent / "results.md"
    assert ub("bench", "results", out, measured) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("package.json contains no records of 'ub bench'")
    assert "## redis" in out.read_text()


def test_nothing_is_left(
    ub: Ub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.md"
    assert ub("bench", "results", out, tmp_path / "none.json") == 1
    said = capsys.readouterr().err
    assert "none.json" in said
    assert "there are no records to report" in said
    assert not out.exists()
