# SPDX-License-Identifier: GPL-2.0-only
"""Bursts of tracepoints on real programs, and what those lose by them."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import pytest

from tests.estimate.subjects import NO_TRACEPOINTS, Subject, running
from ubypass.estimate.busy import cpu_times
from ubypass.estimate.rates import RING_CALLS, Tracepoints
from ubypass.estimate.trace import Trace
from ubypass.process.status import threads

pytestmark = NO_TRACEPOINTS

_PREAD, _GETPPID, _EPOLL_WAIT = 17, 110, 232
_SECONDS = 0.5  # until a program has had its turn on a busy machine


@pytest.fixture(scope="module")
def tracepoints() -> Iterator[Tracepoints]:
    with contextlib.closing(Tracepoints()) as found:
        yield found


def _one(tracepoints: Tracepoints, subject: Subject, **options: bool) -> Trace:
    thread = (subject.pid, subject.pid)
    (found,) = tracepoints.burst([thread], _SECONDS, **options)
    return found


def test_calls_are_counted_in_order(tracepoints: Tracepoints) -> None:
    with running("pread") as subject:
        trace = _one(tracepoints, subject)
        assert subject.end() == "errors 0 turns some"
    assert RING_CALLS <= trace.calls < 1.1 * RING_CALLS
    gaps = [passed for chain in trace.chains for passed in chain]
    assert len(gaps) >= RING_CALLS - 1 - len(trace.chains)
    assert {(gap.nr, gap.call) for gap in gaps} == {(_PREAD, _PREAD)}
    assert {gap.resume for gap in gaps} == {gap.following for gap in gaps}
    assert trace.cpu_ns > 0


def test_times_of_gaps(tracepoints: Tracepoints) -> None:
    with running("getppid") as subject:
        trace = _one(tracepoints, subject, times=True)
        assert subject.end() == "errors 0 turns some"
    times = [p.ns for chain in trace.chains for p in chain if p.ns is not None]
    assert len(times) > RING_CALLS / 2
    # As much as lies between two calls of an empty loop, but for a few instructions.
    usual = statistics.median(times) / tracepoints.gap_ns
    assert 0.5 < usual < 3


def test_calls_that_wait(tracepoints: Tracepoints) -> None:
    with running("waiting") as subject:
        trace = _one(tracepoints, subject)
        assert subject.end() == "errors 0 turns some"
    slept = {p.nr for chain in trace.chains for p in chain if p.slept}
    assert slept == {_EPOLL_WAIT}
    assert any(p.nr == _PREAD for chain in trace.chains for p in chain)


def test_all_threads(tracepoints: Tracepoints) -> None:
    with running("threads") as subject:
        time.sleep(0.3)
        watched = [(subject.pid, tid) for tid in threads(subject.pid)]
        found = tracepoints.burst(watched, 2, most=50)
        assert subject.end() == "errors 0 turns some"
    assert len(found) == len(watched) > 30
    assert sum(trace.calls > 0 for trace in found) > 3
    assert all(trace.calls < 100 for trace in found)


def test_a_thread_that_is_gone_is_left_out(tracepoints: Tracepoints) -> None:
    assert tracepoints.burst([(2**22 + 1, 2**22 + 1)], 0.01) == ()


def test_a_burst_costs_next_to_nothing(tracepoints: Tracepoints) -> None:
    """What a call takes in the second of a burst, by those that it made in it."""
    with running("pread") as subject:
        plain, looked = [], []
        for _ in range(8):
            plain.append(_calls_per_second(subject))
            began = time.monotonic()
            _one(tracepoints, subject)
            time.sleep(max(1 - (time.monotonic() - began), 0))
            looked.append(_calls_per_second(subject))
        assert subject.end() == "errors 0 turns some"
    # It goes on as before once it is over. On a busy machine any window may be slow;
    # what a burst leaves behind would be in all of them.
    assert max(looked) > 0.85 * statistics.median(plain)


def _calls_per_second(subject: Subject) -> float:
    """In CPU time: reads that the kernel counts anyway."""
    before = _reads(subject.pid), cpu_times([subject.pid])[subject.pid]
    time.sleep(0.2)
    after = _reads(subject.pid), cpu_times([subject.pid])[subject.pid]
    spent = sum(after[1].values()) - sum(before[1].values())
    return (after[0] - before[0]) / max(spent, 1)


def _reads(pid: int) -> int:
    with open(f"/proc/{pid}/io") as file:
        return next(int(x.split()[1]) for x in file if x.startswith("syscr:"))
