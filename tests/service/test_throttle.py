# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.service.throttle import Throttle


def test_what_a_minute_allows_may_be_used_at_once() -> None:
    throttle = Throttle(0.1, now=100.0, cpu=5.0)
    assert throttle.wait(100.0, 10.9) == 0.0
    assert throttle.wait(100.0, 11.5) == pytest.approx(5.0)
    # After that time it is paid for.
    assert throttle.wait(105.1, 11.5) == 0.0


def test_nothing_is_saved_beyond_a_minute() -> None:
    throttle = Throttle(0.1, now=0.0, cpu=0.0)
    assert throttle.wait(1000.0, 0.0) == 0.0
    assert throttle.wait(1000.0, 7.0) == pytest.approx(10.0)


def test_in_the_long_run_the_share_is_kept() -> None:
    throttle = Throttle(0.05, now=0.0, cpu=0.0)
    now = cpu = 0.0
    while now < 10_000:
        wait = throttle.wait(now, cpu)
        if wait:
            now += wait
        else:
            now += 0.4
            cpu += 0.4
    assert cpu / now == pytest.approx(0.05, rel=0.05)


def test_another_share_holds_at_once() -> None:
    throttle = Throttle(1.0, now=0.0, cpu=0.0)
    throttle.change(0.1)
    assert throttle.wait(0.0, 7.0) == pytest.approx(10.0)
