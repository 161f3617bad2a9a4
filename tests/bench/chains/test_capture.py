# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.bench.chains.samples import CALLS, captured, running
from ubypass.bench.chains.capture import Wish, capture
from ubypass.errors import UbError


def test_captures_a_chain(tmp_path: Path) -> None:
    found = captured("plain", tmp_path)
    assert [call.nr for call in found.calls] in (
        [110, 102] * (CALLS // 2),
        [102, 110] * (CALLS // 2),
    )
    assert {call.result for call in found.calls} == {os.getuid(), os.getpid()}
    for path, call in zip(found.paths, found.calls, strict=True):
        assert path.ips[0] == path.resume
        assert path.ips[-1] == call.site
    assert found.rip == found.paths[0].resume
    assert found.vdso is not None


def test_a_chain_behind_a_call_goes_up_to_the_next_one(tmp_path: Path) -> None:
    with running("plain") as pid:
        wish = Wish(calls=5, skip=20, after=110, seconds=30)
        found = capture(pid, "it", wish, tmp_path)
    assert [call.nr for call in found.calls] == [102, 110] * 3


def test_the_program_goes_on_as_before(tmp_path: Path) -> None:
    with running("plain") as pid:
        capture(pid, "it", Wish(calls=4, seconds=30), tmp_path)
        status = Path(f"/proc/{pid}/status").read_text()
        assert "TracerPid:\t0" in status
        before = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        time.sleep(0.3)
        after = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        assert int(after[11]) + int(after[12]) > int(before[11]) + int(before[12])


def test_a_program_that_ends_meanwhile(tmp_path: Path) -> None:
    with (
        running("end") as pid,
        pytest.raises(UbError, match=r"it \(process \d+\) ended while"),
    ):
        capture(pid, "it", Wish(skip=1 << 30, seconds=600), tmp_path)


def test_a_busy_program_that_takes_too_long(tmp_path: Path) -> None:
    """Time runs out while it is stopped at a call, as it nearly always is."""
    with running("plain") as pid, pytest.raises(UbError, match="made fewer than"):
        capture(pid, "it", Wish(skip=1 << 30, seconds=1), tmp_path)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with pytest.raises(UbError, match="ended while"):
        capture(process.pid, "it", Wish(), tmp_path)


def test_a_program_that_makes_no_calls(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            with pytest.raises(UbError, match="fewer than 310 system calls in 1 s"):
                capture(process.pid, "it", Wish(seconds=1), tmp_path)
            assert process.poll() is None
        finally:
            process.kill()


def test_a_program_that_takes_signals(tmp_path: Path) -> None:
    with (
        running("signal") as pid,
        pytest.raises(UbError, match="got a signal"),
    ):
        capture(pid, "it", Wish(calls=100, seconds=30), tmp_path)


def test_a_program_that_somebody_traces(tmp_path: Path) -> None:
    with (
        running("plain") as pid,
        subprocess.Popen(
            ["strace", "-o", "/dev/null", "-p", str(pid)], stderr=subprocess.DEVNULL
        ) as other,
    ):
        try:
            status = Path(f"/proc/{pid}/status")
            while "TracerPid:\t0" in status.read_text():
                time.sleep(0.02)
            with pytest.raises(UbError, match="may not be traced"):
                capture(pid, "it", Wish(), tmp_path)
        finally:
            other.terminate()


def test_a_program_that_is_large(tmp_path: Path) -> None:
    with (
        running("plain") as pid,
        pytest.raises(UbError, match="more than 0 MiB of writable memory"),
    ):
        capture(pid, "it", Wish(room=0), tmp_path)
