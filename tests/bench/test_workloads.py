# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ubypass.bench.workloads import build_program, build_workload, build_workloads
from ubypass.errors import UbError


def test_builds_once_and_again_when_the_source_changes(tmp_path: Path) -> None:
    source, program = tmp_path / "p.c", tmp_path / "out" / "p"
    source.write_text("int main(void) { return 3; }\n")
    build_program(source, program)
    assert subprocess.run([program]).returncode == 3
    first = program.stat().st_mtime_ns
    assert build_program(source, program).stat().st_mtime_ns == first
    source.write_text("int main(void) { return 4; }\n")
    os.utime(source, ns=(first + 1, first + 1))
    build_program(source, program)
    assert subprocess.run([program]).returncode == 4


def test_a_header_beside_it_counts(tmp_path: Path) -> None:
    source, header, program = tmp_path / "p.c", tmp_path / "p.h", tmp_path / "p"
    source.write_text('#include "p.h"\nint main(void) { return VALUE; }\n')
    header.write_text("#define VALUE 3\n")
    first = build_program(source, program).stat().st_mtime_ns
    header.write_text("#define VALUE 5\n")
    os.utime(header, ns=(first + 1, first + 1))
    build_program(source, program)
    assert subprocess.run([program]).returncode == 5


def test_says_why_it_does_not_compile(tmp_path: Path) -> None:
    source = tmp_path / "bad.c"
    source.write_text("int main(void) { return nothing; }\n")
    with pytest.raises(UbError, match="nothing") as caught:
        build_program(source, tmp_path / "bad")
    assert "bad.c" in caught.value.message
    assert not (tmp_path / "bad").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["bad.c"]


def test_unknown_workload() -> None:
    with pytest.raises(UbError, match="nosuch"):
        build_workload("nosuch")


@pytest.fixture
def no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that finds no header but libc's."""
    compiler = tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text('#!/bin/sh\ncase "$*" in *liburing*) exit 1; esac\ngcc "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("no_library")
def test_without_its_library_a_workload_is_left_out(tmp_path: Path) -> None:
    built = build_workloads(tmp_path / "out")
    assert "ioloop" in [program.name for program in built]
    assert "uring" not in [program.name for program in built]
    with pytest.raises(UbError, match=r"liburing\.h is missing") as caught:
        build_workload("uring", tmp_path / "out")
    assert caught.value.hint == "apt install liburing-dev"


@pytest.mark.usefixtures("no_library")
def test_what_is_built_needs_no_header(tmp_path: Path) -> None:
    (tmp_path / "uring").touch()
    assert build_workload("uring", tmp_path) == tmp_path / "uring"


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "p.c"
    source.write_text("int main(void) { return 0; }\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UbError) as caught:
        build_program(source, tmp_path / "p")
    assert "gcc" in caught.value.hint
