# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import mmap
import os
import time

import pytest

from ubypass.engine import clock


def test_a_call_costs_what_calls_cost() -> None:
    """About as the interpreter finds it, less what the interpreter adds."""
    began = time.perf_counter_ns()
    for _ in range(2000):
        os.getppid()
    by_python = (time.perf_counter_ns() - began) / 2000
    assert 10 < clock.call_ns() < 2 * by_python


def test_where_code_must_not_be_made_it_is_measured_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert clock.call_ns() > 10


def test_gaps_may_be_some_calls_long() -> None:
    assert clock.gap_ns(327.4) == 3929
