# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

from tests.selftests.result import Result, table

_GOOD = {"verdicts": {"a": "ok", "exit status": "status 0"}, "log": []}
_FIGURES = {"native": 3, "dispatched": 7, "exits": {"syscall": 2}}


def _result(**boosted: Any) -> Result:
    run = {**_GOOD, **_FIGURES, **boosted}
    native = {"name": "x86/sigreturn_64", "native": [_GOOD], "held": [_GOOD]}
    line = {"name": "x86/sigreturn_64", "native": [_GOOD], "boosted": [run]}
    return Result("6.1.0", "6.1.1-1", "x86", [native], [line], {})


def test_a_result_without_differences() -> None:
    result = _result()
    assert result.passed
    [program] = result.as_json()["programs"]
    assert (program["tests"], program["equal"], program["passed"]) == (2, 2, 2)
    assert (program["dispatched"], program["exits"]) == (7, {"syscall": 2})
    assert list(table(result))[2].split() == [
        "x86/sigreturn_64", "2", "2", "0", "0", "10", "7",
    ]  # fmt: skip


def test_a_difference_is_listed() -> None:
    result = _result(verdicts={"a": "not ok", "exit status": "status 0"})
    assert not result.passed
    assert list(table(result))[-1] == (
        "differing: x86/sigreturn_64: a: "
        "{'native': {'ok': 3}, 'boosted': {'not ok': 1}}"
    )


def test_complaints_of_the_kernel_count_if_native_runs_have_no_such() -> None:
    warning = "WARNING: CPU: 1 PID: 77 at kernel/x.c:12 f+0x11/0x20"
    result = _result(log=[warning])
    assert not result.passed
    assert list(table(result))[-1] == f"kernel: x86/sigreturn_64: {warning}"
    natively = {**_GOOD, "log": [warning.replace("77", "78")]}
    result.native[0]["held"] = [natively]
    assert result.passed


def test_nothing_that_was_run_is_no_success() -> None:
    assert not Result("6.1.0", "6.1.1-1", "x86", [], [], {}).passed
