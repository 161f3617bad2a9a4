# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os

import pytest

from ubypass.estimate.counters import COUNTED, reads_and_writes
from ubypass.process.calls import call_name


def test_reads_and_writes_count() -> None:
    us = os.getpid()
    before = reads_and_writes(us, us)
    if before is None:
        pytest.skip("this kernel does not account for I/O")
    with open("/dev/zero", "rb", buffering=0) as zero, open("/dev/null", "wb") as null:
        for _ in range(50):
            os.read(zero.fileno(), 1)
            os.write(null.fileno(), b"x")
            os.getppid()
    after = reads_and_writes(us, us)
    assert after is not None
    assert 100 <= after - before < 130


def test_which_calls_count() -> None:
    assert all(
        "read" in n or "write" in n or n in ("sendfile", "copy_file_range")
        for n in map(call_name, COUNTED)
    )


def test_who_is_gone() -> None:
    assert reads_and_writes(2**22 + 1, 2**22 + 1) is None
