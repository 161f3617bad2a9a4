# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.chains."""

from __future__ import annotations

from math import isinf

from ubypass.cost.model import Range
from ubypass.engine.chains import Chains


def _nowhere(site: int) -> bool:
    return False


def test_nothing_is_known_of_what_was_not_traced() -> None:
    chains = Chains()
    assert chains.best(1, _nowhere) is None
    chains.add(1, 2, Range(50, 50, 60))
    assert chains.best(1, _nowhere) is None
    assert chains.best(2, _nowhere) is None


def test_savings_add_up_to_where_a_run_ends() -> None:
    chains = Chains()
    chains.add(1, 2, Range(50, 60, 70))
    chains.add(2, 3, Range(100, 70, 80))
    assert chains.best(1, {2}.__contains__) == Range(50, 60, 70)
    assert chains.best(1, {3}.__contains__) == Range(150, 130, 150)


def test_of_several_ways_the_best_counts() -> None:
    chains = Chains()
    chains.add(1, 2, Range(50, 60, 70))
    chains.add(1, 3, Range(-10, 90, 100))
    assert chains.best(1, {2, 3}.__contains__) == Range(50, 90, 100)
    # One that is not known to its end may be better still.
    assert chains.best(1, {2}.__contains__) is None


def test_a_loop_has_no_end() -> None:
    chains = Chains()
    chains.add(1, 2, Range(50, 60, 70))
    chains.add(2, 1, Range(-10, -10, 0))
    for site in (1, 2):
        best = chains.best(site, _nowhere)
        assert best is not None
        assert isinf(best.likely)
    # Whatever else may come.
    chains.add(2, 9, Range(1, 1, 11))
    assert (
        chains.best(1, _nowhere)
        == chains.best(2, _nowhere)
        == Range(*[float("inf")] * 3)
    )
    # Unless a run ends inside it.
    assert chains.best(1, {2, 9}.__contains__) == Range(50, 60, 70)


def test_what_is_remembered_is_bounded() -> None:
    chains = Chains(sites=1, ways=1)
    chains.add(1, 2, Range(1, 1, 11))
    chains.add(1, 3, Range(5, 5, 15))
    chains.add(2, 3, Range(5, 5, 15))
    assert chains.best(1, {2}.__contains__) == Range(1, 1, 11)
    assert chains.best(2, _nowhere) is None
    # Of a way that is known the newest figures count.
    chains.add(1, 2, Range(2, 2, 12))
    assert chains.best(1, {2}.__contains__) == Range(2, 2, 12)
