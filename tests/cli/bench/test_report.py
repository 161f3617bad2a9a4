# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.page.wellformed import problems, text_of
from ubypass.errors import UbError
from ubypass.page import svg

Ub = Callable[..., int]


def test_a_page_of_a_directory(
    ub: Ub, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = measured.parent / "new" / "page.html"
    assert ub("bench", "report", measured, "-o", out) == 0
    page = out.read_text(encoding="utf-8")
    assert problems(page) == []
    assert "redis GET 64" in text_of(page)
    assert "pread 64" in text_of(page)
    assert capsys.readouterr() == ("", "")


def test_it_is_put_where_one_is(
    ub: Ub, measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(measured)
    assert ub("bench", "report", "io.json") == 0
    assert (measured / "report.html").exists()


def test_foreign_files_in_a_directory_are_a_line_each(
    ub: Ub, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (measured / "package.json").write_text('{"name": "x"}')
    (measured / "broken.json").write_text("{")
    out = measured.parent / "page.html"
    assert ub("bench", "report", measured, "-o", out) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(".json ")[2] for line in lines] == [
        "is not JSON (Expecting property name enclosed in double quotes: line 1 "
        "column 2 (char 1))",
        "contains no records of 'ub bench'",
    ]
    assert "package.json contains no records" in text_of(out.read_text())


def test_a_file_that_was_asked_for_is_missed(
    ub: Ub, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = measured.parent / "page.html"
    assert ub("bench", "report", measured / "io.json", "/none", "-o", out) == 1
    assert "cannot read /none" in capsys.readouterr().err
    assert "pread 64" in out.read_text()


def test_nothing_to_report(
    ub: Ub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert ub("bench", "report", tmp_path, "-o", out) == 1
    said = capsys.readouterr().err
    assert "there are no *.json files" in said
    assert "there are no records to report" in said
    assert "ub bench io --json" in said
    assert not out.exists()


def test_a_page_that_cannot_be_written(
    ub: Ub, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("bench", "report", measured, "-o", measured) == 1
    assert "it is a directory" in capsys.readouterr().err
    assert ub("bench", "report", measured, "-o", measured / "io.json" / "x") == 1
    assert "is not a directory" in capsys.readouterr().err


def test_without_matplotlib(
    ub: Ub,
    measured: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def missing() -> None:
        raise UbError("plots need matplotlib", "pip install 'ubypass[report]'")

    monkeypatch.setattr(svg, "require", missing)
    out = measured.parent / "page.html"
    assert ub("bench", "report", measured, "-o", out) == 1
    assert capsys.readouterr().err.splitlines() == [
        "ub: plots need matplotlib",
        "    pip install 'ubypass[report]'",
    ]
    assert not out.exists()
