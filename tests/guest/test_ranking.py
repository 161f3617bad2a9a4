# SPDX-License-Identifier: GPL-2.0-only
"""The figures of the ranking, without the lab."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.guest.ranking import Result, spearman, table


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        # By hand: ranks 1 2 3 4 and 2 1 4 3, 1 - 6 * 4 / (4 * 15).
        ([1, 2, 3, 4], [2, 1, 4, 3], 0.6),
        # Equal values share their ranks: 1.5 1.5 3 and 1 2 3.
        ([5, 5, 6], [1, 2, 3], 0.866),
        ([1, 1, 1], [1, 2, 3], 0.0),
    ],
)
def test_the_correlation_of_ranks(
    one: list[float], other: list[float], expected: float
) -> None:
    assert spearman(one, other) == pytest.approx(expected, abs=0.001)


def _result(title: str, boosted: float | None, saved: float = 0.0) -> Result:
    return Result(title, 0.2, 0.4, saved, 100.0, boosted, 0.25, 0.9, None)


def test_what_boosting_brings() -> None:
    half = _result("a", 50.0, 0.08)
    assert half.gain == 0.5
    assert half.brings == pytest.approx(0.1)
    assert half.brings_modelled == pytest.approx(0.05)
    assert _result("b", None).brings == 0
    assert replace(half, native_ns=None).brings == 0
    assert _result("c", 110.0).brings == pytest.approx(-0.02)


def test_the_table_has_the_order_of_the_survey() -> None:
    rows = table([_result("d", 110.0), _result("a", 50.0, 0.08)]).splitlines()
    assert rows[2:] == [
        "| a | 20.0% | 40.0% | 8.00% | 25.0% | 5.00% | 50.0% | 10.00% | 90% |",
        "| d | 20.0% | 40.0% | 0.00% | 25.0% | 5.00% | -10.0% | -2.00% | 90% |",
    ]
    assert rows[0].count("|") == rows[1].count("|") == rows[2].count("|")
