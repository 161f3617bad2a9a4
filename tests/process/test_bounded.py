# SPDX-License-Identifier: GPL-2.0-only
"""Work in a child: its result, and the bounds that it cannot exceed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ubypass.process.bounded import bounded


def _bounded(work: object, **bounds: float) -> bytes | None:
    limits = {"seconds": 10, "memory": 1 << 26, "result": 1 << 22, **bounds}
    return bounded(work, **limits)  # type: ignore[arg-type]


def test_the_result_comes_back() -> None:
    data = os.urandom(1 << 21)
    assert _bounded(lambda: data) == data
    assert _bounded(lambda: b"") == b""


def test_what_fails_has_no_result() -> None:
    def fail() -> bytes:
        raise ZeroDivisionError

    assert _bounded(fail) is None
    assert _bounded(lambda: os._exit(1)) is None  # type: ignore[arg-type, return-value]


def test_memory_is_bounded() -> None:
    assert _bounded(lambda: bytes(1 << 28)[:5]) is None


def test_time_is_bounded() -> None:
    began = time.monotonic()
    assert _bounded(lambda: time.sleep(60) or b"late", seconds=0.3) is None
    assert time.monotonic() - began < 5


def test_the_result_is_bounded() -> None:
    assert _bounded(lambda: bytes(1001), result=1000) is None
    assert _bounded(lambda: bytes(1000), result=1000) == bytes(1000)


def test_a_child_has_no_file_of_ours(tmp_path: Path) -> None:
    """One that is left behind would keep the module's device open."""
    with (tmp_path / "device").open("w") as file:
        number = file.fileno()

        def closed() -> bytes:
            try:
                os.fstat(number)
            except OSError:
                return b"closed"
            return b"open"

        assert _bounded(closed) == b"closed"


def test_no_child_is_left() -> None:
    before = _children()  # such as one that reads for other tests
    for _ in range(3):
        _bounded(lambda: time.sleep(60) or b"", seconds=0.1)
    time.sleep(0.2)
    _bounded(lambda: b"")
    time.sleep(0.2)
    assert len(_children() - before) <= 1  # the last may not have been waited for yet


def _children() -> set[str]:
    """PIDs of our child processes."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
