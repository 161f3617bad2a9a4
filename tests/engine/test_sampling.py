# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Mapping

from ubypass.device.types import Stats
from ubypass.engine.sampling import Sampling


class _Sampler:
    closed = False

    def take(self) -> Mapping[int, int]:
        return {0x1100: 3}

    def close(self) -> None:
        self.closed = True


class _World:
    def __init__(self, *, without: bool = False) -> None:
        self.stats = Stats(native=100)
        self.opened: list[_Sampler] = []
        self.sampling = Sampling(
            None if without else self._open, lambda: self.stats, longest=2.0, rest=30.0
        )

    def _open(self) -> _Sampler:
        self.opened.append(_Sampler())
        return self.opened[-1]


def test_a_period_has_an_end_and_a_rest() -> None:
    world = _World()
    sampling = world.sampling
    assert not sampling.is_on
    assert sampling.take() == {}
    sampling.start(100.0)
    assert sampling.is_on
    assert sampling.take() == {0x1100: 3}
    assert not sampling.is_over(101.9)
    assert sampling.is_over(102.0)
    sampling.stop()
    sampling.stop()
    assert [each.closed for each in world.opened] == [True]
    world.stats = Stats(native=200)
    sampling.start(131.9)
    assert not sampling.is_on
    world.stats = Stats(native=300)
    sampling.start(132.0)
    assert sampling.is_on


def test_where_nearly_all_calls_are_dispatched_there_is_nothing_to_find() -> None:
    world = _World()
    world.stats = Stats(native=10, dispatched=201)
    world.sampling.start(100.0)
    assert world.sampling.converged
    assert not world.sampling.is_on
    # Only what was added since the last count matters.
    world.stats = Stats(native=20, dispatched=401)
    world.sampling.count()
    assert not world.sampling.converged


def test_without_a_sampler_nothing_is_counted() -> None:
    world = _World(without=True)
    world.stats = Stats(native=10, dispatched=201)
    world.sampling.start(100.0)
    assert not world.sampling.is_on
    assert not world.sampling.converged
