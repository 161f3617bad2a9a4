# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.site_graph."""

from __future__ import annotations

from math import isinf

from ubypass.abi import SiteKey
from ubypass.cost.model import Range
from ubypass.engine.site_graph import SiteGraph


def _at(n: int) -> SiteKey:
    return SiteKey(0x1002, n)


def _nowhere(site: SiteKey) -> bool:
    return False


def test_nothing_is_known_of_what_was_not_traced() -> None:
    graph = SiteGraph()
    assert graph.best_saving(_at(1), _nowhere) is None
    graph.add_edge(_at(1), _at(2), Range(50, 50, 60))
    assert graph.best_saving(_at(1), _nowhere) is None
    assert graph.best_saving(_at(2), _nowhere) is None


def test_savings_add_up_to_where_a_run_ends() -> None:
    graph = SiteGraph()
    graph.add_edge(_at(1), _at(2), Range(50, 60, 70))
    graph.add_edge(_at(2), _at(3), Range(100, 70, 80))
    assert graph.best_saving(_at(1), {_at(2)}.__contains__) == Range(50, 60, 70)
    assert graph.best_saving(_at(1), {_at(3)}.__contains__) == Range(150, 130, 150)


def test_of_several_edges_the_best_counts() -> None:
    graph = SiteGraph()
    graph.add_edge(_at(1), _at(2), Range(50, 60, 70))
    graph.add_edge(_at(1), _at(3), Range(-10, 90, 100))
    assert graph.best_saving(_at(1), {_at(2), _at(3)}.__contains__) == Range(
        50, 90, 100
    )
    # One that is not known to its end may be better still.
    assert graph.best_saving(_at(1), {_at(2)}.__contains__) is None


def test_a_loop_has_no_end() -> None:
    graph = SiteGraph()
    graph.add_edge(_at(1), _at(2), Range(50, 60, 70))
    graph.add_edge(_at(2), _at(1), Range(-10, -10, 0))
    for site in (_at(1), _at(2)):
        best = graph.best_saving(site, _nowhere)
        assert best is not None
        assert isinf(best.likely)
    # Whatever else may come.
    graph.add_edge(_at(2), _at(9), Range(1, 1, 11))
    assert (
        graph.best_saving(_at(1), _nowhere)
        == graph.best_saving(_at(2), _nowhere)
        == Range(*[float("inf")] * 3)
    )
    # Unless a run ends inside it.
    assert graph.best_saving(_at(1), {_at(2), _at(9)}.__contains__) == Range(50, 60, 70)


def test_what_is_remembered_is_bounded() -> None:
    graph = SiteGraph(sites=1, successors=1)
    graph.add_edge(_at(1), _at(2), Range(1, 1, 11))
    graph.add_edge(_at(1), _at(3), Range(5, 5, 15))
    graph.add_edge(_at(2), _at(3), Range(5, 5, 15))
    assert graph.best_saving(_at(1), {_at(2)}.__contains__) == Range(1, 1, 11)
    assert graph.best_saving(_at(2), _nowhere) is None
    # Of a way that is known the newest figures count.
    graph.add_edge(_at(1), _at(2), Range(2, 2, 12))
    assert graph.best_saving(_at(1), {_at(2)}.__contains__) == Range(2, 2, 12)


def test_runs_pass_all_sites_up_to_where_they_end() -> None:
    graph = SiteGraph()
    for n in (1, 2, 3, 4):
        graph.add_edge(_at(n), _at(n % 4 + 1), Range(1, 1, 1))
    graph.add_edge(_at(2), _at(7), Range(1, 1, 1))
    assert graph.reached_from({_at(1)}, ()) == {_at(2), _at(3), _at(4), _at(7)}
    assert graph.reached_from({_at(1)}, {_at(3)}) == {_at(2), _at(7)}
    assert graph.reached_from({_at(5)}, ()) == set()
