# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.estimate.offline import Kind
from ubypass.estimate.runs import kind_of, runs
from ubypass.estimate.trace import Chain, Passed

_READ, _WRITE, _EXECVE = 0, 1, 59
_HOOKED = frozenset({_READ, _WRITE})
_A = Passed(0x12, _READ, 0x22, _WRITE, None, False)  # read → write
_B = Passed(0x22, _WRITE, 0x12, _READ, None, False)  # and back
_KIND_A, _KIND_B = kind_of(_A), kind_of(_B)
_CHAIN: Chain = (_A, _B) * 50


def test_one_long_run() -> None:
    found = runs([_CHAIN], {_KIND_A: 100, _KIND_B: 50}, 60, _HOOKED)
    assert (found.runs, found.dispatched) == (1, 100)
    assert found.total == pytest.approx(50 * 100 + 50 * 50 - 60)
    assert found.saved[_KIND_A] == pytest.approx(50 * 100 - 30)


def test_a_gap_that_loses_is_left_native() -> None:
    found = runs([_CHAIN], {_KIND_A: 100, _KIND_B: -20}, 60, _HOOKED)
    assert (found.runs, found.dispatched) == (50, 50)
    assert found.total == pytest.approx(50 * (100 - 60))


def test_a_site_whose_runs_lose_is_left_native() -> None:
    found = runs([_CHAIN], {_KIND_A: 50}, 60, _HOOKED)
    assert (found.runs, found.total) == (0, 0)


def test_a_run_may_begin_later_where_it_cannot_before() -> None:
    """A run is not entered behind a call that is not hooked."""
    first = Passed(0x92, _EXECVE, 0x12, _READ, None, False)
    chain = (first, *_CHAIN)
    savings = {kind_of(first): 100.0, _KIND_A: 100.0, _KIND_B: 100.0}
    found = runs([chain], savings, 60, _HOOKED)
    assert (found.runs, found.dispatched) == (1, 100)


def test_a_call_that_is_not_dispatched_ends_a_run() -> None:
    out = Passed(0x12, _READ, 0x92, _EXECVE, None, False)
    savings = {_KIND_A: 100.0, _KIND_B: 100.0, kind_of(out): 100.0}
    found = runs([(*_CHAIN, out)], savings, 60, _HOOKED)
    assert (found.runs, found.dispatched) == (1, 100)


def test_a_call_that_waits_ends_a_run() -> None:
    chain = (*_CHAIN, _A._replace(slept=True), *_CHAIN[1:])
    found = runs([chain], {_KIND_A: 100, _KIND_B: 100}, 60, _HOOKED)
    assert (found.runs, found.dispatched) == (2, 200)


def test_what_was_not_looked_at_ends_a_run() -> None:
    found = runs([_CHAIN], {Kind(1, 2, 3): 100}, 60, _HOOKED)
    assert (found.runs, found.total) == (0, 0)


def test_chains_are_apart() -> None:
    found = runs([_CHAIN, _CHAIN], {_KIND_A: 100, _KIND_B: 100}, 60, _HOOKED)
    assert (found.runs, found.dispatched) == (2, 200)
