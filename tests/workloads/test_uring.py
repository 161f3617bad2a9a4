# SPDX-License-Identifier: GPL-2.0-only
"""Whoever lacks io_uring or its library skips; that rows then say so is
``tests/bench/uring``'s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError


@pytest.fixture(scope="module")
def uring() -> Path:
    try:
        program = build_workload("uring")
    except UbError as error:
        pytest.skip(error.message)
    done = subprocess.run([program, "--file", program, "--size", "1", "--count", "1"])
    if done.returncode == 3:
        pytest.skip("no io_uring here")
    return program


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "data"
    file.write_bytes(os.urandom(100_000))
    return file


def run(program: Path, *arguments: str | Path) -> dict[str, Any]:
    out = subprocess.run(
        [program, *arguments], check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(out.stdout)
    return result


@pytest.mark.parametrize("way", ["plain", "registered"])
@pytest.mark.parametrize(("size", "depth"), [(1, 1), (64, 8), (77, 100), (4096, 3)])
def test_reads_whole_batches(
    uring: Path, data: Path, way: str, size: int, depth: int
) -> None:
    chosen = ("--file", data, "--way", way, "--size", str(size), "--depth", str(depth))
    result = run(uring, *chosen, "--count", "20", "--rounds", "3")
    assert result["count"] == -(-20 // depth) * depth
    assert int(result["checksum"], 16) == result["count"] * size
    assert len(result["rounds"]) == 3
    assert min(result["rounds"]) <= result["median"] <= max(result["rounds"])
    assert result["median"] > 0
    assert result["poller"] == 0


def test_a_thread_of_the_kernel_polls(uring: Path, data: Path) -> None:
    chosen = ("--file", data, "--way", "sqpoll", "--size", "1", "--depth", "1024")
    # Longer than a few of the scheduler's ticks, at which it counts CPU time; in few
    # batches, each of which may wait for a busy machine to let both threads run.
    result = run(uring, *chosen, "--count", "97000", "--rounds", "3")
    assert int(result["checksum"], 16) == result["count"]
    assert result["poller"] > 0


def test_a_file_that_ends_early(uring: Path, data: Path) -> None:
    chosen = ("--file", str(data), "--size", "1000", "--count", "101")
    done = subprocess.run([uring, *chosen], capture_output=True, text=True)
    assert done.returncode == 2
    assert "shorter than a round" in done.stderr


def test_data_that_differs_is_noticed(uring: Path, tmp_path: Path) -> None:
    """A file that changes while it is compared."""
    file = tmp_path / "data"
    file.write_bytes(bytes(1 << 20))
    chosen = ("--file", str(file), "--size", "4096", "--depth", "256", "--count", "256")
    flip = (
        "import os, sys\n"
        "file = os.open(sys.argv[1], os.O_WRONLY)\n"
        "while True:\n"
        "    for byte in b'ab':\n"
        "        os.pwrite(file, bytes([byte]) * 4096, 0)\n"
    )
    changing = subprocess.Popen([sys.executable, "-c", flip, file])
    try:
        # Sooner or later it does between the two reads.
        for _ in range(1000):
            done = subprocess.run([uring, *chosen], capture_output=True, text=True)
            if done.returncode == 2:
                break
    finally:
        changing.kill()
        changing.wait()
    assert "differs from what pread reads" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        *(["--way", "other"], ["--depth", "0"], ["--depth", "1025"], ["--size", "x"]),
        *(["--rounds", "0"], ["extra"], ["--zap"]),
    ],
)
def test_nonsense_is_refused(uring: Path, data: Path, words: list[str]) -> None:
    done = subprocess.run([uring, "--file", data, *words], capture_output=True)
    assert done.returncode == 2
    assert subprocess.run([uring], capture_output=True).returncode == 2
