# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.bench.server.attachment import Figures
from ubypass.bench.server.steady import Settled, Steady


def looks(
    shares: list[float], loads: list[int], engine: list[float] | None = None
) -> list[float | None]:
    """One look a second, 1000 calls each, with these shares of them dispatched."""
    steady = Steady(settle=2.0, undecided=4.0)
    calls, dispatched = 0, 0
    found = []
    for now, (share, load) in enumerate(zip(shares, loads, strict=True)):
        figures = Figures(calls, dispatched, loads=load)
        settled = steady.look(float(now), figures, engine[now] if engine else 0.0)
        found.append(settled.since if settled else None)
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
    busy = [float(min(second, 4)) for second in range(11)]
    found = looks([0.0] * 11, [0] * 11, busy)
    assert found == [None] * 8 + [4.0, 4.0, 4.0]


def test_before_the_first_load_it_takes_longer() -> None:
    # As while the trace of a long gap waits for its budget: natively until second 4.
    found = looks([0.0] * 5 + [0.5] * 4, [0] * 5 + [1] * 4)
    assert found == [None] * 8 + [6.0]


def test_what_the_engine_had_used_by_then() -> None:
    steady = Steady(settle=2.0)
    for second, engine_s in enumerate([0.0, 1.0, 1.05, 1.1, 1.15]):
        figures = Figures(1000 * second, 500 * second, loads=1)
        settled = steady.look(float(second), figures, engine_s)
    assert settled == Settled(1.0, 1.0)


def test_never_still() -> None:
    found = looks([0.1, 0.9] * 5, [1] * 10)
    assert found == [None] * 10
