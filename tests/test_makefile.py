# SPDX-License-Identifier: GPL-2.0-only
"""What ``make`` removes, and what it does not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With things that were built, and with measurements."""
    shutil.copy(_ROOT / "Makefile", tmp_path)
    shutil.copytree(_ROOT / "tools", tmp_path / "tools")
    for name in (
        "build/bench/redis.json",
        "build/bench/builds/redis/1.builds",
        "build/redis-suite.json",
        "build/kernel/6.1/ub.ko",
        "build/demo.json",
        "build/compiled/ubypass/region/decode.so",
        ".venv/bin/ub",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _make(checkout: Path, target: str) -> str:
    done = subprocess.run(
        ["make", "-C", checkout, target], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_measurements_outlive_clean(checkout: Path) -> None:
    out = _make(checkout, "clean")
    assert "build/bench stays; make distclean removes it" in out
    assert "build/redis-suite.json stays" in out
    assert (checkout / "build/bench/builds/redis/1.builds").exists()
    assert sorted(p.name for p in (checkout / "build").iterdir()) == [
        "bench",
        "redis-suite.json",
    ]
    assert (checkout / ".venv/bin/ub").exists()


def test_distclean_removes_everything(checkout: Path) -> None:
    _make(checkout, "distclean")
    assert not (checkout / "build").exists()
    assert not (checkout / ".venv").exists()
    _make(checkout, "distclean")  # where nothing is left to remove


def test_both_are_in_the_list(checkout: Path) -> None:
    out = _make(checkout, "help")
    assert "\nclean " in out
    assert "\ndistclean " in out


@pytest.fixture
def played(checkout: Path) -> Path:
    """A ``ub`` that only writes down how it is called, and fails for nginx."""
    for name in ("tools/prepare.sh", ".venv/bin/ub"):
        (checkout / name).write_text(
            "#!/bin/sh\n"
            '[ "${0##*/}" = ub ] && echo "$*" >> said\n'
            'case "$*" in *"server nginx"*) exit 1;; esac\n'
            "exit 0\n"
        )
        (checkout / name).chmod(0o755)
    return checkout


def test_what_fails_costs_itself_only(played: Path) -> None:
    done = subprocess.run(
        ["make", "-C", played, "bench"], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "some of it failed" in done.stderr
    assert re.search(
        r"measured for \d+ minutes: docs/results.md, docs/report.html", done.stdout
    )
    # Of an earlier run.
    assert not (played / "build/bench/redis.json").exists()
    said = (played / "said").read_text().splitlines()
    for words in (
        *("bench chains getppid", "bench io --with uring --native", "bench gaps"),
        *("--pti on -- ub bench io", "EPYC-Milan,-erms,-fsrm -- ub bench server redis"),
        *("bench replay", "bench report build/bench -o docs/report.html"),
    ):
        assert sum(words in line for line in said) == 1, said
    (results,) = (line for line in said if "bench results" in line)
    written = {
        word.split("build/bench/")[1]
        for line in said
        for word in line.split()
        if word.startswith("build/bench/") and word.endswith(".json")
    }
    assert written == {word.split("build/bench/")[1] for word in results.split()[3:]}
    # Times are not measured beside other work.
    first = [line for line in said if "lab run" in line or "chains" in line]
    assert "chains" in first[0]


def test_a_dry_run_measures_nothing(played: Path) -> None:
    subprocess.run(
        ["make", "-C", played, "-n", "bench"], capture_output=True, check=True
    )
    assert not (played / "said").exists()
    assert (played / "build/bench/redis.json").exists()
