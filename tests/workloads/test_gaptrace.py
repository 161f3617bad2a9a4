# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from ubypass.bench.workloads import build_workload

_PREAD64 = 17


@pytest.fixture(scope="module")
def gaptrace() -> Path:
    return build_workload("gaptrace")


def test_counts_what_gapcount_counts(gaptrace: Path, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(1 << 16))
    options = ["--call", "pread", "--size", "64", "--file", str(file)]
    command = [str(build_workload("ioloop")), *options, "--warmup-seconds", "60"]
    counted = subprocess.run(
        [build_workload("gapcount"), str(_PREAD64), "20", "1", "--", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as loop:
        try:
            _wait_for_reads(loop.pid, 1000)
            done = subprocess.run(
                [gaptrace, str(loop.pid), "30"], capture_output=True, text=True
            )
            ways = subprocess.run(
                [gaptrace, str(loop.pid), "3", "1000"], capture_output=True, text=True
            )
        finally:
            loop.kill()
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 30
    assert {(nr, following) for _, nr, _, following in lines} == {("17", "17")}
    assert {gap for _, _, gap, _ in lines} == {counted.stdout.strip()}
    assert len({site for site, *_ in lines}) == 1
    # From one system call to the next, which is the same here.
    for line in ways.stdout.splitlines():
        site, _, gap, _, *ips = line.split()
        assert len(ips) == int(gap) + 1
        assert (ips[0], int(ips[-1], 16)) == (site, int(site, 16) - 2)


def _wait_for_reads(pid: int, count: int) -> None:
    """Until the program has started and is in its loop."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        text = Path(f"/proc/{pid}/io").read_text()
        if int(text.partition("syscr: ")[2].split()[0]) > count:
            return
        time.sleep(0.05)
    raise AssertionError("the program does not read")


def test_says_what_is_wrong(gaptrace: Path) -> None:
    done = subprocess.run([gaptrace, "1"], capture_output=True, text=True)
    assert (done.returncode, done.stderr[:6]) == (2, "usage:")
    done = subprocess.run([gaptrace, "1", "1", "99999"], capture_output=True, text=True)
    assert (done.returncode, "at most" in done.stderr) == (2, True)
    done = subprocess.run([gaptrace, "x", "1"], capture_output=True, text=True)
    assert (done.returncode, "want a number" in done.stderr) == (2, True)
    done = subprocess.run(
        [gaptrace, str(2**22 + 1), "1"], capture_output=True, text=True
    )
    assert (done.returncode, "PTRACE_SEIZE" in done.stderr) == (1, True)
