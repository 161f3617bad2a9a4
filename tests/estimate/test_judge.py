# SPDX-License-Identifier: GPL-2.0-only
"""Shares of CPU time, from made-up observations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ubypass.cost.model import Parameter, Range, models
from ubypass.estimate.judge import NOTHING, Judged, judge
from ubypass.estimate.offline import Kind, Looked, Verdict
from ubypass.estimate.survey import Process, Program, Watched
from ubypass.estimate.trace import Passed

_READ, _GETPPID, _EXECVE = 0, 110, 59
_GAP = Passed(0x12, _GETPPID, 0x12, _GETPPID, None, False)
_KIND = Kind(0x12, _GETPPID, 0x12)
_GOOD = Looked(Verdict.TRANSLATED, 3, 20, 1.2, Range(50, 100, 150))
_RUN = Range(50.0, 60.0, 70.0)
_MODEL = replace(models()["zen4"], run=Parameter(_RUN, "estimated", "made up"))
_LONG_RUN = 1000


def _process(
    looked: dict[Kind, Looked], *threads: Watched, seconds: float = 2.0
) -> Process:
    return Process(
        *(7, "made-up", Program(looked=looked)),
        threads={thread.tid: thread for thread in threads},
        seconds=seconds,
        last_ns=sum(t.last_ns - t.first_ns for t in threads),
    )


def _thread(
    gap: Passed = _GAP, *, each_ns: float = 1000.0, cpu_ns: int = 10**9, tid: int = 7
) -> Watched:
    """One that makes a call for each so many ns of its CPU time."""
    calls = _LONG_RUN
    chain = (gap,) * calls
    return Watched(
        tid, 0, cpu_ns, None, None, calls=calls, cpu_ns=calls * each_ns, chains=[chain]
    )


def _judged(process: Process) -> Judged:
    return judge(process, _MODEL, 0.0)


def _names(judged: Judged) -> list[str]:
    return [reason.name for reason in judged.reasons]


def test_a_loop() -> None:
    found = _judged(_process({_KIND: _GOOD}, _thread()))
    low, likely, high = (run / _LONG_RUN for run in (70, 60, 50))
    assert found.share.low == pytest.approx((50 - low) / 1000)
    assert found.share.likely == pytest.approx((100 - likely) / 1000)
    assert found.share.high == pytest.approx((150 - high) / 1000)
    assert found.per_cpu_second == pytest.approx(1e6)
    assert found.per_second == pytest.approx(0.5e6)
    assert found.dispatched == pytest.approx(1)
    assert found.per_run == pytest.approx(_LONG_RUN)
    assert not found.counted
    assert found.reasons == ()
    (site,) = found.sites
    assert (site.kind, site.call, site.part) == (_KIND, _GETPPID, 1.0)


def test_nothing_saves_more_than_all() -> None:
    found = _judged(_process({_KIND: _GOOD}, _thread(each_ns=120.0)))
    assert 0.4 < found.share.low < found.share.likely < found.share.high == 1


def test_threads_count_by_their_cpu_time() -> None:
    busy = _thread(each_ns=1000, cpu_ns=3 * 10**9)
    rare = _thread(each_ns=10**6, cpu_ns=10**9, tid=8)
    found = _judged(_process({_KIND: _GOOD}, busy, rare))
    alone = _judged(_process({_KIND: _GOOD}, busy))
    expected = 0.75 * alone.share.likely + 0.25 * alone.share.likely / 1000
    assert found.share.likely == pytest.approx(expected)


def test_cpu_time_of_threads_that_were_not_looked_at_gains_nothing() -> None:
    other = Watched(8, 0, 10**9, None, None)
    found = _judged(_process({_KIND: _GOOD}, _thread(), other))
    alone = _judged(_process({_KIND: _GOOD}, _thread()))
    assert found.share.likely == pytest.approx(alone.share.likely / 2)


def test_the_kernel_s_counters_know_better_than_bursts() -> None:
    gap = _GAP._replace(nr=_READ, call=_READ)
    kind = Kind(0x12, _READ, 0x12)
    thread = _thread(gap)
    thread.first_io, thread.last_io = 100, 100 + 4_000_000
    found = _judged(_process({kind: _GOOD}, thread))
    assert found.counted
    assert found.per_cpu_second == pytest.approx(4e6)


def test_counters_that_hardly_count_are_not_believed() -> None:
    thread = _thread()
    thread.first_io, thread.last_io = 100, 4_000_000
    found = _judged(_process({_KIND: _GOOD}, thread))
    assert not found.counted
    assert found.per_cpu_second == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("looked", "name", "verdict"),
    [
        ({}, "unseen", Verdict.UNSEEN),
        ({_KIND: Looked(Verdict.LONG, 1, 5000)}, "long_gaps", Verdict.LONG),
        (
            {Kind(0x12, _GETPPID, 0): Looked(Verdict.LONG, 1, 5000)},
            "long_gaps",
            Verdict.LONG,
        ),
        (
            {_KIND: Looked(Verdict.UNTRANSLATABLE, 1, 5)},
            "untranslatable",
            Verdict.UNTRANSLATABLE,
        ),
        ({_KIND: Looked(Verdict.LEAVES, 1, 5)}, "leaves", Verdict.LEAVES),
        ({_KIND: Looked(Verdict.REFUSED, 1, 5)}, "refused", Verdict.REFUSED),
        (
            {_KIND: replace(_GOOD, saving=Range(-30, -20, -10))},
            "slower",
            Verdict.TRANSLATED,
        ),
    ],
)
def test_reasons_against(
    looked: dict[Kind, Looked], name: str, verdict: Verdict
) -> None:
    found = _judged(_process(looked, _thread()))
    assert found.share == NOTHING
    assert _names(found) == [name]
    assert found.sites[0].looked.verdict is verdict


def test_calls_that_are_never_dispatched() -> None:
    found = _judged(_process({_KIND: _GOOD}, _thread(_GAP._replace(call=_EXECVE))))
    assert found.share == NOTHING
    assert found.sites[0].looked.verdict is Verdict.NATIVE_CALL
    (reason,) = found.reasons
    assert (reason.name, reason.text[-6:]) == ("native_calls", "execve")


def test_calls_that_wait_and_runs_that_are_short() -> None:
    looked = {_KIND: replace(_GOOD, saving=Range(10, 20, 30))}
    found = _judged(_process(looked, _thread(_GAP._replace(slept=True))))
    assert found.share == NOTHING
    assert _names(found) == ["waits", "short_runs"]
    assert found.waited == 1


def test_an_idle_process() -> None:
    found = _judged(_process({}, Watched(7, 0, 1000, None, None)))
    assert found.share == NOTHING
    assert _names(found) == ["idle", "few_calls"]


def test_few_calls() -> None:
    found = _judged(_process({_KIND: _GOOD}, _thread(each_ns=10**6)))
    assert _names(found) == ["few_calls"]


def test_times_of_gaps_without_what_looking_adds() -> None:
    process = _process({_KIND: _GOOD}, _thread())
    process.times = [tuple(_GAP._replace(ns=ns) for ns in (250, 300, None, 9000))]
    assert judge(process, _MODEL, 280.0).sites[0].gap_ns == pytest.approx(20)
    assert judge(process, _MODEL, 400.0).sites[0].gap_ns == 0
