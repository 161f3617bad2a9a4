# SPDX-License-Identifier: GPL-2.0-only
"""All processes of the machine, ranked by the CPU time that boosting may save.

A cheap first survey of a few seconds: bursts of tracepoints on the busiest threads.
Nothing is stepped and nothing translated. Each short gap counts as an empty one, so the
estimate of a single process is lower.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ubypass.abi import SYSCALL_ARGS
from ubypass.cost.model import Model
from ubypass.engine.clock import gap_ns
from ubypass.estimate.busy import busiest, cpu_times
from ubypass.estimate.offline import Kind
from ubypass.estimate.reasons import Reason, declined
from ubypass.estimate.runs import kind_of, runs
from ubypass.estimate.trace import Bursts, Chain, Trace
from ubypass.process.status import name_of

__all__ = ["RANKING_VERSION", "Machine", "Ranked", "rank"]

#: Version of the output of ``ub estimate --json`` without a process.
RANKING_VERSION = 1

_FIRST = 0.3  # share of the duration spent on the choice of busy threads
_PROCESSES = 20
_THREADS = 32  # watched at a time, in all
_OF_ONE = 4  # threads of one process
_CALLS = 1000  # that a burst may slow down, over all threads
_LEAST_CALLS = 60  # of each thread
_BURST = 0.02  # seconds
_PERIOD = 0.15  # seconds from one burst to the next
_TIMED = 1  # the number of the burst with times
_BUSY = 0.005  # of one processor: a process that must not be missed
_LONG_BURST = 0.1  # seconds, for those that ran in none before
_MOST_THREADS = 100_000  # considered in the choice


@dataclass(frozen=True, slots=True)
class Ranked:
    """One process of the ranking.

    ``use``: share of one processor; ``per_second``: calls per second; ``waited``: share
    of the calls that had to wait; ``share``: upper bound of the share of its CPU time
    that boosting saves. ``seen``: whether it ran while it was observed; otherwise its
    calls are unknown, and count as none. ``reasons``: why the process would not be
    boosted.
    """

    pid: int
    name: str
    use: float
    per_second: float
    waited: float
    share: float
    reasons: tuple[Reason, ...]
    seen: bool = True

    @property
    def saved(self) -> float:
        """Upper bound of the CPU seconds saved per second."""
        return self.use * self.share

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        return {
            "pid": self.pid,
            "name": self.name,
            "use": self.use,
            "calls_per_second": self.per_second,
            "waiting": self.waited,
            "share_at_most": self.share,
            "saved_at_most": self.saved,
            "seen": self.seen,
            "reasons": [reason.name for reason in self.reasons],
        }


@dataclass(frozen=True, slots=True)
class Machine:
    """The processes, best first, after ``seconds``.

    ``lost``: seconds of CPU time that the survey cost all of them together.
    """

    processes: tuple[Ranked, ...]
    seconds: float
    lost: float
    model: Model

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        return {
            "version": RANKING_VERSION,
            "seconds": self.seconds,
            "lost": self.lost,
            "model": self.model.name,
            "processes": [each.as_json() for each in self.processes],
        }


@dataclass(slots=True)
class _Seen:
    """The data of one process from all bursts without times."""

    calls: int = 0
    cpu_ns: float = 0.0
    chains: list[Chain] = field(default_factory=list)
    times: dict[Kind, list[int]] = field(default_factory=lambda: defaultdict(list))


def rank(
    seconds: float,
    model: Model,
    source: Bursts,
    pids: Callable[[], Sequence[int]] | None = None,
) -> Machine:
    """Survey for ``seconds``; ``pids`` gives the processes (default: all but this one).

    At most as long again if busy processes have not run in any burst until then, as
    happens where many share a processor. Raises UbError if threads may not be traced.
    """
    began = time.monotonic()
    first = cpu_times((pids or _all)())
    time.sleep(_FIRST * seconds)
    threads = _choose(first, cpu_times((pids or _all)()))
    chosen = list(dict.fromkeys(pid for pid, _ in threads))
    seen = {pid: _Seen() for pid in chosen}
    most = max(_CALLS // max(len(threads), 1), _LEAST_CALLS)
    bursts, lost = 0, 0.0
    while time.monotonic() - began < seconds:
        timed = bursts == _TIMED
        for trace in source.burst(threads, _BURST, most, times=timed):
            lost += trace.calls * source.call_ns / 1e9
            _learn(seen[trace.pid], trace, timed)
        bursts += 1
        left = seconds - (time.monotonic() - began)
        time.sleep(max(0.0, min(_PERIOD, left)))
    while time.monotonic() - began < 2 * seconds:
        unseen = _unseen(threads, seen, first, time.monotonic() - began)
        if not unseen:
            break
        for trace in source.burst(unseen, _LONG_BURST, most):
            lost += trace.calls * source.call_ns / 1e9
            _learn(seen[trace.pid], trace, False)
    last = cpu_times(chosen)
    elapsed = time.monotonic() - began
    found = []
    for pid in chosen:
        before = first.get(pid, {})
        cpu = sum(ns - before.get(tid, 0) for tid, ns in last.get(pid, {}).items())
        if last.get(pid):
            found.append(_ranked(pid, seen[pid], cpu / 1e9 / elapsed, model, source))
    found.sort(key=lambda each: (-each.saved, -each.use, each.pid))
    return Machine(tuple(found), elapsed, lost, model)


def _all() -> list[int]:
    us = os.getpid()
    return [int(n) for n in os.listdir("/proc") if n.isdigit() and int(n) != us]


def _choose(
    before: Mapping[int, Mapping[int, int]], after: Mapping[int, Mapping[int, int]]
) -> list[tuple[int, int]]:
    """The busiest threads of the busiest processes."""
    threads: dict[int, list[tuple[int, int]]] = {}
    used: dict[int, int] = {}
    for (pid, tid), ns in busiest(before, after, _MOST_THREADS).items():
        used[pid] = used.get(pid, 0) + ns
        threads.setdefault(pid, []).append((pid, tid))
    ranked = [pid for pid in sorted(used, key=lambda pid: -used[pid]) if _is_user(pid)]
    chosen = ranked[:_PROCESSES]
    # Round-robin by process, so that one with many threads does not exclude others.
    rounds = [
        threads[pid][turn]
        for turn in range(_OF_ONE)
        for pid in chosen
        if turn < len(threads[pid])
    ]
    return rounds[:_THREADS]


def _unseen(
    threads: Sequence[tuple[int, int]],
    seen: Mapping[int, _Seen],
    first: Mapping[int, Mapping[int, int]],
    elapsed: float,
) -> list[tuple[int, int]]:
    """The threads of busy processes that have not run in any burst."""
    now = cpu_times([pid for pid, each in seen.items() if not each.cpu_ns])
    busy = {
        pid
        for pid, found in now.items()
        if sum(ns - first.get(pid, {}).get(tid, 0) for tid, ns in found.items())
        >= _BUSY * elapsed * 1e9
    }
    return [thread for thread in threads if thread[0] in busy]


def _is_user(pid: int) -> bool:
    """Whether the process is no kernel thread; kernel threads make no calls."""
    try:
        os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False
    return True


def _learn(seen: _Seen, trace: Trace, timed: bool) -> None:
    if timed:
        for chain in trace.chains:
            for passed in chain:
                if passed.ns is not None:
                    seen.times[kind_of(passed)].append(passed.ns)
        return
    seen.calls += trace.calls
    seen.cpu_ns += trace.cpu_ns
    seen.chains += trace.chains


def _ranked(pid: int, seen: _Seen, use: float, model: Model, source: Bursts) -> Ranked:
    gaps = [passed for chain in seen.chains for passed in chain]
    rate = seen.calls / seen.cpu_ns if seen.cpu_ns else 0.0  # for each ns of CPU time
    share = waited = 0.0
    if gaps:
        waited = sum(passed.slept for passed in gaps) / len(gaps)
        each = max(model.transition.ns.likely - model.dispatch.ns.likely, 0.0)
        longest = gap_ns(model.transition.ns.likely) + source.gap_ns
        savings = {
            kind: each
            for kind in map(kind_of, gaps)
            if statistics.median(seen.times.get(kind) or [0]) <= longest
        }
        run_ns = model.run.ns.likely
        saved = runs(seen.chains, savings, run_ns, SYSCALL_ARGS.keys()).total
        share = min(saved / len(gaps) * rate, 1.0)
    return Ranked(
        pid,
        name_of(pid),
        use,
        rate * 1e9 * use,
        waited,
        share,
        declined(pid),
        seen.cpu_ns > 0,
    )
