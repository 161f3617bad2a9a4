# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import time

import pytest

from ubypass.calibrate import work
from ubypass.calibrate.timer import Timer
from ubypass.errors import UbError


def test_ticks_grow_with_turns() -> None:
    with Timer([work.additions()]) as timer:
        few = min(timer.ticks("additions", 1, 10) for _ in range(50))
        many = min(timer.ticks("additions", 1, 1000) for _ in range(50))
    assert 0 < few < many


def test_the_counter_is_a_clock() -> None:
    """The same, asked in another way: within a tenth, however busy the machine."""
    with Timer([]) as timer:
        time.sleep(0.05)
        first = timer.ticks_per_us()
        time.sleep(0.05)
        assert timer.ticks_per_us() == pytest.approx(first, rel=0.1)


def test_a_counter_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    with Timer([]) as timer:
        monkeypatch.setattr(timer, "_stamp", lambda: 7)
        timer._began = timer._reading()
        time.sleep(0.001)
        with pytest.raises(UbError, match="unusable as a clock"):
            timer.ticks_per_us()


def test_nothing_runs_afterwards() -> None:
    with Timer([work.nothing()]) as timer:
        pass
    with pytest.raises(KeyError):
        timer.ticks("nothing", 1, 1)
