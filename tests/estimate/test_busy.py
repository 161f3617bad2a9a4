# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import time

from tests.estimate.subjects import running
from ubypass.estimate.busy import busiest, cpu_times, is_running


def test_the_busiest_come_first() -> None:
    before = {1: {1: 50, 2: 10}}
    after = {1: {1: 60, 2: 90, 3: 5}, 7: {7: 0}}
    assert list(busiest(before, after, 9).items()) == [
        ((1, 2), 80),
        ((1, 1), 10),
        ((1, 3), 5),
    ]
    assert list(busiest(before, after, 1)) == [(1, 2)]


def test_real_programs() -> None:
    with running("computes") as busy, running("idle") as idle:
        pids = (busy.pid, idle.pid)
        before = cpu_times(pids)
        time.sleep(0.5)
        found = busiest(before, cpu_times(pids), 5)
        assert next(iter(found)) == (busy.pid, busy.pid)
        assert found[busy.pid, busy.pid] > 10 * found.get((idle.pid, idle.pid), 0)
        assert any(_often(busy.pid))
        assert sum(_often(idle.pid)) < 10


def _often(tid: int) -> list[bool]:
    found = []
    for _ in range(20):
        found.append(is_running(tid))
        time.sleep(0.003)
    return found


def test_who_is_gone() -> None:
    gone = 2**22 + 1
    assert cpu_times([gone]) == {gone: {}}
    assert not is_running(gone)
