# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.chains."""

from __future__ import annotations

from math import isinf

from ubypass.engine.chains import Chains
from ubypass.engine.forecast import Saving


def _nowhere(site: int) -> bool:
    return False


def test_nothing_is_known_of_what_was_not_traced() -> None:
    chains = Chains()
    assert chains.best(1, _nowhere) is None
    chains.add(1, 2, Saving(50, 50))
    assert chains.best(1, _nowhere) is None
    assert chains.best(2, _nowhere) is None


def test_savings_add_up_to_where_a_run_ends() -> None:
    chains = Chains()
    chains.add(1, 2, Saving(50, 60))
    chains.add(2, 3, Saving(100, 70))
    assert chains.best(1, {2}.__contains__) == Saving(50, 60)
    assert chains.best(1, {3}.__contains__) == Saving(150, 130)


def test_of_several_ways_the_best_counts() -> None:
    chains = Chains()
    chains.add(1, 2, Saving(50, 60))
    chains.add(1, 3, Saving(-10, 90))
    assert chains.best(1, {2, 3}.__contains__) == Saving(50, 90)
    # One that is not known to its end may be better still.
    assert chains.best(1, {2}.__contains__) is None


def test_a_loop_has_no_end() -> None:
    chains = Chains()
    chains.add(1, 2, Saving(50, 60))
    chains.add(2, 1, Saving(-10, -10))
    for site in (1, 2):
        best = chains.best(site, _nowhere)
        assert best is not None
        assert isinf(best.counted)
    # Whatever else may come.
    chains.add(2, 9, Saving(1, 1))
    assert (
        chains.best(1, _nowhere)
        == chains.best(2, _nowhere)
        == Saving(*[float("inf")] * 2)
    )
    # Unless a run ends inside it.
    assert chains.best(1, {2, 9}.__contains__) == Saving(50, 60)


def test_what_is_remembered_is_bounded() -> None:
    chains = Chains(sites=1, ways=1)
    chains.add(1, 2, Saving(1, 1))
    chains.add(1, 3, Saving(5, 5))
    chains.add(2, 3, Saving(5, 5))
    assert chains.best(1, {2}.__contains__) == Saving(1, 1)
    assert chains.best(2, _nowhere) is None
    # Of a way that is known the newest figures count.
    chains.add(1, 2, Saving(2, 2))
    assert chains.best(1, {2}.__contains__) == Saving(2, 2)
