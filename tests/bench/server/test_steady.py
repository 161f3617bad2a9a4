# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.bench.server.attachment import Figures
from ubypass.bench.server.steady import Steady


def looks(
    shares: list[float], loads: list[int], engine: list[float] | None = None
) -> list[float | None]:
    """One look a second, 1000 calls each, with these shares of them dispatched."""
    steady = Steady(settle=2.0)
    calls, dispatched = 0, 0
    found = []
    for now, (share, load) in enumerate(zip(shares, loads, strict=True)):
        figures = Figures(calls, dispatched, loads=load)
        found.append(steady.look(float(now), figures, engine[now] if engine else 0.0))
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
    assert [steady.look(float(now), Figures(), 0.0) for now in range(10)] == [None] * 10


def test_not_while_the_engine_is_busy() -> None:
    # Nothing is loaded yet, but something is being translated until second 4.
    busy = [float(min(second, 4)) for second in range(9)]
    found = looks([0.0] * 9, [0] * 9, busy)
    assert found == [None] * 6 + [4.0, 4.0, 4.0]


def test_never_still() -> None:
    found = looks([0.1, 0.9] * 5, [1] * 10)
    assert found == [None] * 10
