# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from itertools import pairwise

from ubypass.device.uapi import Decline
from ubypass.engine.eligibility import Eligibility


def test_it_is_asked_once_shortly_after_the_start() -> None:
    eligibility = Eligibility(0.1, 10.0)
    assert eligibility.due is None
    eligibility.attached(100.0)
    assert eligibility.due == 100.1
    assert not eligibility.update(Decline.NONE, 100.1)
    eligibility.asked(100.1)
    assert eligibility.due is None


def test_while_it_is_declined_it_is_asked_ever_more_rarely() -> None:
    eligibility = Eligibility(0.1, 10.0)
    eligibility.attached(0.0)
    asked = []
    while (now := eligibility.due or 0.0) < 100.0:
        asked.append(now)
        assert not eligibility.update(Decline.PTRACE, now)
        eligibility.asked(now)
    assert eligibility.declined_for is Decline.PTRACE
    waits = [after - before for before, after in pairwise(asked)]
    assert waits == sorted(waits)
    assert max(waits) <= 10.0 + 1e-9
    assert waits[-1] > 9.9
    # Once it has ended, the next decline is asked about soon again.
    assert eligibility.update(Decline.NONE, 101.0)
    eligibility.asked(101.0)
    assert eligibility.due is None
    assert not eligibility.update(Decline.SECCOMP, 200.0)
    assert eligibility.due == 200.1


def test_an_answer_to_somebody_else_does_not_delay_the_question() -> None:
    eligibility = Eligibility(0.1, 10.0)
    eligibility.attached(0.0)
    eligibility.update(Decline.PTRACE, 0.05)
    assert eligibility.due == 0.1
