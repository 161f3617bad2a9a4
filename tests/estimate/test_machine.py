# SPDX-License-Identifier: GPL-2.0-only
"""The ranking: arithmetic on played traces, and one look at programs that run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.estimate.subjects import NO_TRACEPOINTS, running
from ubypass.cost.model import models
from ubypass.estimate import machine
from ubypass.estimate.machine import rank
from ubypass.estimate.rates import Tracepoints
from ubypass.estimate.trace import Passed, Trace

_MODEL = models()["zen4"]
_PREAD, _PTRACE = 17, 101


class _Played:
    """Each thread makes the calls that ``calls`` has for its process."""

    call_ns = 100.0
    gap_ns = 50.0

    def __init__(self, calls: dict[int, tuple[int, float, Passed]]) -> None:
        self._calls = calls
        self.most: list[int] = []
        self.timed: list[bool] = []

    def burst(
        self,
        threads: Sequence[tuple[int, int]],
        seconds: float,
        most: int,
        *,
        times: bool = False,
    ) -> tuple[Trace, ...]:
        self.most.append(most * len(threads))
        self.timed.append(times)
        return tuple(
            Trace(pid, tid, number, cpu_ns, ((passed,) * number,))
            for pid, tid in threads
            if pid in self._calls
            for number, cpu_ns, passed in [self._calls[pid]]
        )


def _passed(call: int = _PREAD, ns: int | None = 100, slept: bool = False) -> Passed:
    return Passed(0x1000, call, 0x1000, call, ns, slept)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Three processes, the first of which seems to have used most."""
    pids = [os.getpid(), os.getppid(), 1]
    used = dict.fromkeys(pids, 0)

    def times(wanted: Sequence[int]) -> dict[int, dict[int, int]]:
        for place, pid in enumerate(pids):
            used[pid] += (3 - place) * 50_000_000
        return {pid: {pid: used[pid]} for pid in wanted if pid in used}

    monkeypatch.setattr(machine, "cpu_times", times)
    monkeypatch.setattr(machine, "_is_user", lambda pid: True)
    return pids


def _rank(played: _Played, pids: list[int]) -> list[machine.Ranked]:
    return list(rank(0.5, _MODEL, played, lambda: pids).processes)


def test_who_makes_many_short_calls_comes_first(busy: list[int]) -> None:
    few, many, none = busy
    played = _Played(
        {
            few: (10, 1e6, _passed()),
            many: (100, 1e5, _passed()),
            none: (0, 1e6, _passed()),
        }
    )
    found = _rank(played, busy)
    assert [each.pid for each in found] == [many, few, none]
    # 100 calls in 100 us: 10^6 for each second of CPU time.
    assert found[0].per_second == pytest.approx(1e6 * found[0].use)
    assert found[0].share > 10 * found[1].share > 0
    assert found[2].share == 0
    assert sum(played.timed) == 1


@pytest.mark.parametrize(
    "passed",
    [
        pytest.param(_passed(_PTRACE), id="never dispatched"),
        pytest.param(_passed(ns=10**6), id="long gaps"),
    ],
)
def test_what_gains_nothing(busy: list[int], passed: Passed) -> None:
    found = _rank(_Played({busy[0]: (100, 1e5, passed)}), busy)
    assert found[0].per_second > 0
    assert found[0].share == 0


def test_what_waits_gains_little(busy: list[int]) -> None:
    waits, goes_on = (
        _rank(_Played({busy[0]: (100, 1e5, _passed(slept=slept))}), busy)[0]
        for slept in (True, False)
    )
    assert (waits.waited, goes_on.waited) == (1.0, 0.0)
    # Each call ends a run, and getting in has to be paid each time.
    assert waits.share < goes_on.share / 3


def test_the_share_is_never_more_than_all(busy: list[int]) -> None:
    (first, *_) = _rank(_Played({busy[0]: (1000, 10.0, _passed())}), busy)
    assert first.share == 1.0


def test_many_threads_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_is_user", lambda pid: pid != 99)
    before: dict[int, dict[int, int]] = {}
    after = {7: {1000 + n: 1000 - n for n in range(100)}, 99: {99: 5000}}
    after |= {pid: {pid: 10} for pid in range(10, 80)}
    threads = machine._choose(before, after)
    assert len(threads) <= 32
    assert threads[0] == (7, 1000)
    assert sum(pid == 7 for pid, _ in threads) == 4
    assert len({pid for pid, _ in threads}) == 20
    assert 99 not in dict(threads)


def test_nobody_is_looked_at_long(busy: list[int]) -> None:
    played = _Played({})
    found = rank(0.5, _MODEL, played, lambda: busy)
    assert found.seconds < 5
    assert all(number <= 1000 + 60 * 3 for number in played.most)


def test_busy_processes_that_did_not_run_are_watched_longer(busy: list[int]) -> None:
    late, other, idle = busy
    played = _Played({other: (10, 1e6, _passed()), idle: (0, 1e6, _passed())})

    class Late(_Played):
        longest = 0.0

        def burst(
            self,
            threads: Sequence[tuple[int, int]],
            seconds: float,
            most: int,
            *,
            times: bool = False,
        ) -> tuple[Trace, ...]:
            if seconds > 0.05:
                assert [pid for pid, _ in threads] == [late]
                self._calls = {late: (100, 1e5, _passed())}
            return super().burst(threads, seconds, most, times=times)

    found = _rank(Late(played._calls), busy)
    assert [each.pid for each in found] == [late, other, idle]
    assert all(each.seen for each in found)


def test_who_never_ran_is_told_from_who_makes_no_calls(busy: list[int]) -> None:
    played = _Played({busy[1]: (0, 1e6, _passed())})
    seen = {each.pid: each.seen for each in _rank(played, busy)}
    assert seen == {busy[0]: False, busy[1]: True, busy[2]: False}


@NO_TRACEPOINTS
def test_a_loop_of_calls_is_ranked_above_a_loop_without() -> None:
    source = Tracepoints()
    code = "while True: pass"
    with (
        running("pread") as subject,
        subprocess.Popen([sys.executable, "-c", code]) as other,
    ):
        try:
            found = rank(4.0, _MODEL, source, lambda: [other.pid, subject.pid])
        finally:
            other.kill()
            source.close()
        assert "errors 0" in subject.end()
    first, second = found.processes
    assert (first.pid, second.pid) == (subject.pid, other.pid)
    assert first.per_second > 100 * second.per_second
    assert 0 < found.lost < 0.1
