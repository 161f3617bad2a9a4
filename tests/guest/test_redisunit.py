# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.guest.redisunit import Outcome, read_output

_GREEN = "\x1b[0;32;49mok\x1b[0m"


def test_verdicts_without_colours_and_times() -> None:
    verdicts, why = read_output(
        [
            "Testing unit/protocol\n",
            f"[{_GREEN}]: Handle (x) lines (12 ms)\n",
            "[ignore]: Out of memory\n",
            f"[{_GREEN}]: Handle (x) lines (9 ms)\n",
            "\\o/ All tests passed without errors!\n",
        ]
    )
    assert verdicts == {
        "Handle (x) lines": "ok",
        "Out of memory": "ignore",
        "Handle (x) lines #2": "ok",
    }
    assert why == []
    assert Outcome(0, 1.0, verdicts).passed


def test_a_failure_and_what_was_said_of_it() -> None:
    verdicts, why = read_output(
        ["[err]: PING in tests/unit/x.tcl\n", "Expected 'a' to be 'b'\n", "[ok]: SET\n"]
    )
    assert why == ["[err]: PING in tests/unit/x.tcl", "Expected 'a' to be 'b'"]
    outcome = Outcome(1, 1.0, verdicts, why)
    assert outcome.failed == ["PING in tests/unit/x.tcl"]
    assert outcome.ok == 1
    assert not outcome.passed


def test_nothing_that_was_run_is_no_success() -> None:
    assert not Outcome(0, 1.0, {}).passed
