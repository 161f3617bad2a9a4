# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import time

import pytest

from ubypass.process.perf import Attr, Event, Flag, Kind, Record, Ring, Sample

_TASK_CLOCK, _CONTEXT_SWITCHES = 1, 3
_CPU_CLOCK = 0
_PAGES = 4


def _event(attr: Attr, leader: Event | None = None) -> Event:
    try:
        return Event(attr, 0, leader)
    except OSError as error:
        pytest.skip(f"no perf events: {error.strerror}")


def _spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_group_counts_while_it_is_enabled() -> None:
    leader = _event(Attr(Kind.SOFTWARE, _TASK_CLOCK, flags=Flag.DISABLED))
    second = _event(Attr(Kind.SOFTWARE, _TASK_CLOCK), leader)
    _spin(0.02)
    assert leader.value() == second.value() == 0
    leader.enable()
    _spin(0.02)
    leader.disable()
    counted = leader.value()
    assert 10e6 < counted < 2e9
    assert abs(second.value() - counted) < 5e6
    _spin(0.02)
    assert leader.value() == counted
    for event in (second, leader):
        event.close()
        event.close()


def test_records_stop_by_themselves_and_are_taken_once() -> None:
    attr = Attr(Kind.SOFTWARE, _CPU_CLOCK, 200_000, Sample.TIME, Flag.DISABLED)
    event = _event(attr)
    ring = Ring(event, _PAGES)
    assert ring.filled == 0
    event.enable_for(5)
    end = time.process_time() + 5
    while ring.filled < 5 * 16 and time.process_time() < end:
        pass
    _spin(0.05)
    records = [record for record in ring.take() if record[0] == Record.SAMPLE]
    times = [int.from_bytes(data[:8], "little") for _, _, data in records]
    assert 5 <= len(times) <= 6
    assert times == sorted(times)
    assert list(ring.take()) == []
    ring.close()
    event.close()


def test_a_ring_wraps() -> None:
    attr = Attr(Kind.SOFTWARE, _CPU_CLOCK, 50_000, Sample.TIME, Flag.DISABLED)
    event = _event(attr)
    ring = Ring(event, 1)
    event.enable()
    found: list[int] = []
    end = time.process_time() + 10
    while len(found) < 600 and time.process_time() < end:
        for kind, _, data in ring.take():
            if kind == Record.SAMPLE:
                assert len(data) == 8
                found.append(int.from_bytes(data, "little"))
    event.disable()
    assert len(found) >= 600  # of 16 bytes: more than a page twice
    assert found == sorted(found)
    ring.close()
    event.close()


def test_what_the_kernel_refuses() -> None:
    with pytest.raises(OSError, match="No such process"):
        Event(Attr(Kind.SOFTWARE, _CONTEXT_SWITCHES), 2**22 + 1)
