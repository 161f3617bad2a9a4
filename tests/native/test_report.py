# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.native.samples import case_of
from ubypass.native import types
from ubypass.native.report import report


def test_says_what_differs() -> None:
    case = case_of("nop")
    result = types.Result(executions=7, mismatches=2)
    result.failure.wrong = 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256
    result.failure.registers = 1 << 3
    result.failure.native.gpr[3] = 0x11
    result.failure.translated.gpr[3] = 0x22
    result.failure.index = 5
    found = report(case, result)
    assert found.executions == 7
    assert found.failure is not None
    text = str(found.failure)
    assert "state 5" in text
    assert "rbx is 0x22, not 0x11" in text
    for word in ("flags", "vector", "memory", "does not get there", "crash", "frame"):
        assert word in text
    assert "wants to go to" in text
    assert "faults where" in text


def test_nothing_wrong() -> None:
    assert report(case_of("nop"), types.Result(executions=3)).failure is None
