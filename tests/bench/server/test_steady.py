# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.bench.server.attachment import Figures
from ubypass.bench.server.steady import Steady


def looks(shares: list[float], loads: list[int]) -> list[float | None]:
    """One look a second, 1000 calls each, with these shares of them dispatched."""
    steady = Steady(settle=2.0)
    calls, dispatched = 0, 0
    found = []
    for now, (share, load) in enumerate(zip(shares, loads, strict=True)):
        found.append(steady.look(float(now), Figures(calls, dispatched, loads=load)))
        calls += 1000
        dispatched += round(1000 * share)
    return found


def test_steady_since_the_share_stands_still() -> None:
    found = looks([0.1, 0.4, 0.6, 0.61, 0.6, 0.6, 0.6], [1] * 7)
    assert found == [None, None, None, None, None, 3.0, 3.0]


def test_a_load_starts_it_anew() -> None:
    found = looks([0.5] * 8, [1, 1, 1, 2, 2, 2, 2, 2])
    assert found == [None, None, None, None, None, 3.0, 3.0, 3.0]


def test_nothing_happens_and_nothing_is_concluded() -> None:
    steady = Steady()
    assert [steady.look(float(now), Figures()) for now in range(10)] == [None] * 10


def test_more_patience_with_what_is_not_boosted_yet() -> None:
    found = looks([0.0] * 7, [0] * 7)
    assert found == [None, None, None, None, 1.0, 1.0, 1.0]


def test_never_still() -> None:
    found = looks([0.1, 0.9] * 5, [1] * 10)
    assert found == [None] * 10
