# SPDX-License-Identifier: GPL-2.0-only
"""Each reason has words, and a hint if something can be done about it."""

from __future__ import annotations

from ubypass.device.types import is_lasting
from ubypass.device.uapi import Decline
from ubypass.engine.declines import HINTS, REASONS, counted, named


def test_each_reason_has_words_and_what_lasts_a_hint() -> None:
    assert set(REASONS) == set(Decline)
    assert set(HINTS) == {reason for reason in Decline if is_lasting(reason)}


def test_what_occurred_is_counted_by_name() -> None:
    declines = {Decline.WORK: 3, Decline.SECCOMP: 0, Decline.PTRACE: 7}
    assert list(counted(declines).items()) == [("ptrace", 7), ("work", 3)]
    assert [named(name) for name in counted(declines)] == [Decline.PTRACE, Decline.WORK]
