# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import time

import pytest

from ubypass import processor
from ubypass.cost.model import model_of
from ubypass.engine import clock
from ubypass.errors import UbError


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
        raise UbError("no code of our own may be run here")

    monkeypatch.setattr(clock, "Executable", refuse)
    assert clock.call_ns() > 10


def test_gaps_may_be_some_calls_long() -> None:
    assert clock.gap_ns(327.4) == 3929


def test_the_longest_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("zen4")
    monkeypatch.setattr(processor, "is_emulated", lambda: False)
    assert clock.longest_ns(model) == clock.gap_ns(model.transition.ns.likely)
    # An emulator takes what it takes, whatever processor is modelled.
    monkeypatch.setattr(processor, "is_emulated", lambda: True)
    monkeypatch.setattr(clock, "call_ns", lambda: 331.0)
    assert clock.longest_ns(model) == clock.gap_ns(331.0)


def test_how_much_slower_an_emulator_is() -> None:
    model = model_of("zen4")
    transition = model.transition.ns.likely
    assert clock.slowness(model, clock.gap_ns(transition)) == pytest.approx(1, abs=0.01)
    assert clock.slowness(model, clock.gap_ns(20 * transition)) == pytest.approx(
        20, rel=0.01
    )
    assert clock.slowness(model, 1) == 1.0
