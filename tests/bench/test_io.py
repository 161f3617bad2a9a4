# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from ubypass.bench import io
from ubypass.device.types import Stats
from ubypass.engine.engine import Engine
from ubypass.engine.summary import Summary
from ubypass.engine.target import Target


@dataclass
class _Clock:
    """Virtual seconds, and an engine that waits for the host in its first steps."""

    now: float = 0.0
    steps: int = 0
    slow_steps: int = 3
    boosted_after: int = 20
    ended: bool = False

    def monotonic(self) -> float:
        return self.now

    def step(self, timeout: float) -> None:
        self.steps += 1
        self.now += 100.0 if self.steps <= self.slow_steps else timeout

    def refresh_stats(self) -> Stats:
        boosted = max(0, self.steps - self.boosted_after)
        return Stats(native=1000, dispatched=1000 * boosted)

    def summary(self) -> Summary:
        return Summary(pid=1, name="loop", alive=True, stats=Stats(), loads=1)


def _warm_up(clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io.time, "monotonic", clock.monotonic)
    target, engine = cast(Target, clock), cast(Engine, clock)
    io.warm_up(lambda: clock.ended, target, engine, io.Plan())


def test_an_engine_that_waits_for_the_host_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop goes on meanwhile, and the guest's clock with it."""
    clock = _Clock()
    _warm_up(clock, monkeypatch)
    assert clock.steps > clock.boosted_after
    assert clock.now > 300.0


def test_a_loop_that_is_never_boosted_is_measured_after_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = _Clock(slow_steps=0, boosted_after=10**9)
    _warm_up(clock, monkeypatch)
    assert clock.now == pytest.approx(8.0, rel=0.05)


def test_reads_of_some_sizes_only() -> None:
    chosen = io.of_sizes(io.WORKLOADS, (64, 100))
    assert [str(each) for each in chosen] == [
        *("pread 64", "pread 100", "pread 64 + sum", "pread 100 + sum")
    ]
    cold = {(each.sum, each.cold) for each in io.of_sizes(io.DISK, (512,))}
    assert cold == {(False, False), (True, False), (False, True), (True, True)}
