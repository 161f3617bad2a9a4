# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ubypass.bench.workloads import build_workload

_DATA = bytes((i * 7 + i // 256) & 0xFF for i in range(1003))


@pytest.fixture(scope="module")
def ioloop() -> Path:
    return build_workload("ioloop")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "data"
    file.write_bytes(_DATA)
    return file


def run(program: Path, *arguments: str | Path) -> dict[str, Any]:
    out = subprocess.run(
        [program, *arguments, "--json"], check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(out.stdout)
    return result


def read_back(size: int, count: int, *, empty_read_counts: bool) -> list[bytes]:
    """What a loop that starts over at the end of the file reads."""
    chunks, at = [], 0
    for _ in range(count):
        chunk = _DATA[at : at + size]
        chunks.append(chunk)
        at += len(chunk)
        if empty_read_counts:
            at = 0 if not chunk else at
        elif len(chunk) < size:
            at = 0
    return chunks


def summed(chunk: bytes) -> int:
    words = len(chunk) // 8 * 8
    low = sum(int.from_bytes(chunk[i : i + 8], "little") for i in range(0, words, 8))
    return low + sum(chunk[words:])


@pytest.mark.parametrize("size", [1, 8, 17, 59, 100, 1003])
@pytest.mark.parametrize("call", ["pread", "read"])
def test_reads_everything_and_starts_over(
    ioloop: Path, data: Path, call: str, size: int
) -> None:
    count = 2 * len(_DATA) // size + 9
    chunks = read_back(size, count, empty_read_counts=call == "read")
    common = ("--call", call, "--file", data, "--size", str(size))
    rounds = ("--count", str(count), "--rounds", "3")
    plain = run(ioloop, *common, *rounds)
    assert int(plain["checksum"], 16) == sum(map(len, chunks))
    with_sum = run(ioloop, *common, *rounds, "--sum")
    assert int(with_sum["checksum"], 16) == sum(map(summed, chunks)) % 2**64
    assert len(plain["rounds"]) == 3
    assert min(plain["rounds"]) <= plain["median"] <= max(plain["rounds"])
    assert plain["median"] > 0


@pytest.mark.parametrize("call", ["pwrite", "write"])
def test_writes_leave_the_length(ioloop: Path, data: Path, call: str) -> None:
    result = run(
        ioloop, "--call", call, "--file", data, "--size", "100", "--count", "55"
    )
    assert int(result["checksum"], 16) == 55 * 100
    after = data.read_bytes()
    assert len(after) == len(_DATA)
    assert after[:1000] == _DATA[:100] * 10
    assert after[1000:] == _DATA[1000:]


def test_getppid(ioloop: Path) -> None:
    result = run(ioloop, "--call", "getppid", "--count", "1000", "--rounds", "2")
    assert int(result["checksum"], 16) == 1000 * os.getpid()


def test_warms_up_for_as_long_as_asked(ioloop: Path) -> None:
    result = run(ioloop, "--count", "100", "--warmup-seconds", "0.2")
    assert result["warmup_rounds"] > 10
    assert run(ioloop, "--count", "100")["warmup_rounds"] == 1


def test_waits_for_its_driver(ioloop: Path) -> None:
    with subprocess.Popen(
        [ioloop, "--count", "100", "--rounds", "1", "--sync"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 0.2)[0] == []
        for expected in ("ready", "getppid"):
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(expected)
        assert process.poll() is None
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--call", "pread"], "--file"),
        (["--call", "open"], "no such call"),
        (["--count", "0"], "--count"),
        (["--count", "12x"], "--count"),
        (["--size", "-1"], "--size"),
        (["--call", "pread", "--file", "/nonexistent"], "/nonexistent"),
        (["--call", "pread", "--file", "/dev/null"], "shorter"),
        (["--sum"], "--sum"),
        (["--warmup-seconds", "nan"], "--warmup-seconds"),
        (["surplus"], "surplus"),
    ],
)
def test_bad_input(ioloop: Path, arguments: list[str], says: str) -> None:
    done = subprocess.run([ioloop, *arguments], capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
