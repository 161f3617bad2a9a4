# SPDX-License-Identifier: GPL-2.0-only
"""``ub coverage``: three ways to print, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.coverage.build import shared

Ub = Callable[..., int]

_SOURCE = """
.globl one
.type one, @function
one: .cfi_startproc
inc %eax
hlt
cpuid
cpuid
ret
.cfi_endproc
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared(_SOURCE, tmp_path_factory.mktemp("coverage"))


def test_tables(ub: Ub, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ub("coverage", "--blockers", "1", library) == 0
    out, _ = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert ["library.so", "1", "1", "0.000", "5", "40.000"] in rows
    assert any(row[:2] == ["2", "CPUID"] for row in rows)
    assert "and 1 of 1 other forms" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_for_machines(
    ub: Ub, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("coverage", "--json", library, library) == 0
    first, second = json.loads(capsys.readouterr().out)["files"]
    assert first == second
    assert (first["instructions"], first["instructions_translated"]) == (5, 2)
    assert first["blockers"][0]["code"] == "CPUID"
    assert first["blockers"][0]["count"] == 2


def test_for_the_documentation(
    ub: Ub, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("coverage", "--markdown", library) == 0
    out = capsys.readouterr().out
    assert "| library.so | 1 | 1 | 0.000 | 5 | 40.000 |" in out
    assert "| 2 | `CPUID` |" in out


def test_the_page_in_the_documentation_is_made_so(
    ub: Ub, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "coverage.md").read_text()
    assert ub("coverage", "--markdown", library) == 0
    # Up to the command itself.
    head, _, _ = capsys.readouterr().out.partition("--blockers")
    assert page.startswith(head)
    shares = [
        [float(cell) for cell in line.split("|")[4:7:2]]
        for line in page.splitlines()
        if line.count("|") == 7 and line[2].isalpha() and not line.startswith("| file")
    ]
    assert len(shares) == 6
    assert min(share for pair in shares for share in pair) >= 99.5


def test_no_program(ub: Ub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    assert ub("coverage", text) == 1
    assert "give a 64-bit x86 ELF file" in capsys.readouterr().err


def test_never_rounded_up() -> None:
    from ubypass.cli.coverage import _percent

    assert (_percent(1.0), _percent(0.999999), _percent(0.5)) == (
        "100",
        "99.999",
        "50.000",
    )


def test_one_file_without_code_hides_no_other(
    ub: Ub, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = shared(".text\n.zero 64\n", tmp_path)
    assert ub("coverage", "--json", library, empty) == 1
    out, err = capsys.readouterr()
    assert [data["file"] for data in json.loads(out)["files"]] == ["library.so"]
    assert "no functions found" in err
    assert ub("coverage", empty) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no functions found" in err
