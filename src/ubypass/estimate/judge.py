# SPDX-License-Identifier: GPL-2.0-only
"""The share of its CPU time that a process would save when boosted, from a survey.

Share = (ns that the gaps seen save, less the cost of runs) / gaps seen * calls per ns
of CPU time, for each thread, weighted by CPU time. Pure arithmetic.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ubypass.abi import SYSCALL_ARGS
from ubypass.cost.model import Model, Range
from ubypass.estimate.counters import COUNTED
from ubypass.estimate.offline import Kind, Looked, Verdict
from ubypass.estimate.reasons import Reason
from ubypass.estimate.runs import kind_of, runs
from ubypass.estimate.survey import Process, Watched
from ubypass.estimate.trace import Chain
from ubypass.process.calls import call_name

__all__ = ["NOTHING", "Judged", "Site", "judge"]

_COUNTED_LEAST = 0.05  # share of calls that the kernel's counters have to count
_IDLE = 0.02  # share of one processor, below which a process is idle
_FEW = 20_000  # calls for each second of CPU time, below which calls are few
_SOME = 0.1  # share of all gaps from which on a reason is reported
_WAITING = 0.2  # share of all calls from which on waiting is reported
_NAMED = 3  # calls named in a reason, at most

NOTHING: Final = Range(0.0, 0.0, 0.0)
_UNSEEN = Looked(Verdict.UNSEEN, 0, 0)


@dataclass(frozen=True, slots=True)
class Site:
    """Gaps of one kind: from the return of call ``nr`` to call ``call``.

    ``per_second``: gaps per second of real time; ``part``: share of all gaps.
    ``gap_ns``: the median time in user mode, None if not known. ``share``: the share
    of the process' CPU time that is saved.
    """

    kind: Kind
    call: int
    per_second: float
    part: float
    gap_ns: float | None
    looked: Looked
    share: Range


@dataclass(frozen=True, slots=True)
class Judged:
    """``share``: the share of the process' CPU time that boosting would save.

    ``per_second``, ``per_cpu_second``: calls per second of real time and of CPU time.
    ``counted``: whether the call rate comes from the kernel's own counters.
    ``waited``: share of all calls that had to wait. ``dispatched``: share of all calls
    that would be dispatched (likely value), in runs of ``per_run`` calls.
    """

    process: Process
    share: Range
    sites: tuple[Site, ...]
    per_second: float
    per_cpu_second: float
    counted: bool
    waited: float
    dispatched: float
    per_run: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class _Thread:
    """``weight``: share of the process' CPU time; ``rate``: calls per CPU ns."""

    chains: Sequence[Chain]
    gaps: int
    weight: float
    rate: float
    counted: bool


def judge(process: Process, model: Model, floor_ns: float) -> Judged:
    """Estimate the saving of ``process``, with the ranges of ``model``.

    ``floor_ns``: time between two calls with nothing in between, as the source of
    events shows it; subtracted from all times of gaps.
    """
    threads = _threads(process)
    looked = process.program.looked
    hooked = SYSCALL_ARGS.keys()
    good = {k: v for k, v in looked.items() if v.verdict is Verdict.TRANSLATED}
    by_kind: dict[Kind, list[float]] = {}
    dispatched = made = 0.0
    run = model.run.ns
    # The low view of the saving takes the high cost of runs.
    for view, run_ns in enumerate((run.high, run.likely, run.low)):
        savings = {kind: _views(seen.saving)[view] for kind, seen in good.items()}
        for thread in threads:
            found = runs(thread.chains, savings, run_ns, hooked)
            scale = thread.weight * thread.rate / thread.gaps
            for kind, ns in found.saved.items():
                by_kind.setdefault(kind, [0.0] * 3)[view] += ns * scale
            if view == 1:
                dispatched += found.dispatched * scale
                made += found.runs * scale
    sites = _sites(process, threads, looked, by_kind, floor_ns)
    # If a program does little but calls, the model's high end may exceed 100 %.
    share = Range(
        *(min(sum(_views(s.share)[view] for s in sites), 1.0) for view in range(3))
    )
    rate = sum(thread.weight * thread.rate for thread in threads)
    waited = _waited(threads)
    judged = Judged(
        process,
        share,
        sites,
        rate * process.cpu_ns / max(process.seconds, 1e-9),
        rate * 1e9,
        bool(threads) and all(thread.counted for thread in threads),
        waited,
        dispatched / rate if rate else 0.0,
        dispatched / made if made else 0.0,
        (),
    )
    return _with_reasons(judged)


def _views(range_: Range) -> tuple[float, float, float]:
    return range_.low, range_.likely, range_.high


def _threads(process: Process) -> list[_Thread]:
    total = max(process.cpu_ns, 1)
    found = []
    for seen in process.threads.values():
        gaps = sum(len(chain) for chain in seen.chains)
        spent = seen.last_ns - seen.first_ns
        if not gaps or not spent:
            continue
        rate = _counted_rate(seen, gaps, spent)
        counted = rate is not None
        if rate is None:
            rate = seen.calls / seen.cpu_ns if seen.cpu_ns else 0.0
        found.append(_Thread(seen.chains, gaps, spent / total, rate, counted))
    return found


def _counted_rate(seen: Watched, gaps: int, spent: int) -> float | None:
    if seen.first_io is None or seen.last_io is None:
        return None
    each = sum(COUNTED.get(passed.call, 0) for passed in seen.gaps()) / gaps
    if each < _COUNTED_LEAST or seen.last_io == seen.first_io:
        return None
    return (seen.last_io - seen.first_io) / each / spent


def _sites(
    process: Process,
    threads: Sequence[_Thread],
    looked: Mapping[Kind, Looked],
    saved: Mapping[Kind, Sequence[float]],
    floor_ns: float,
) -> tuple[Site, ...]:
    """All sites, the most frequent first."""
    rates: Counter[tuple[Kind, int]] = Counter()
    for thread in threads:
        scale = thread.weight * thread.rate / thread.gaps
        for chain in thread.chains:
            for passed in chain:
                rates[kind_of(passed), passed.call] += scale  # type: ignore[assignment]
    total = sum(rates.values()) or 1
    per_second = process.cpu_ns / max(process.seconds, 1e-9)
    times = _times(process.times, floor_ns)
    shown: set[Kind] = set()
    found = []
    for (kind, call), rate in rates.most_common():
        # A kind of gap may lead to several calls: its saving is listed once.
        views = (0.0,) * 3 if kind in shown else sorted(saved.get(kind, (0.0,) * 3))
        shown.add(kind)
        # A path that reached no call stands for any following call.
        seen = looked.get(kind) or looked.get(kind._replace(following=0), _UNSEEN)
        if call not in SYSCALL_ARGS:
            why = f"{call_name(call)} is never dispatched"
            seen = Looked(Verdict.NATIVE_CALL, seen.paths, seen.instructions, why=why)
        found.append(
            Site(
                *(kind, call, rate * per_second, rate / total, times.get(kind)),
                *(seen, Range(*views)),
            )
        )
    return tuple(found)


def _times(chains: Sequence[Chain], floor_ns: float) -> dict[Kind, float]:
    found: dict[Kind, list[int]] = {}
    for chain in chains:
        for passed in chain:
            if passed.ns is not None:
                found.setdefault(kind_of(passed), []).append(passed.ns)
    return {k: max(statistics.median(ns) - floor_ns, 0.0) for k, ns in found.items()}


def _waited(threads: Sequence[_Thread]) -> float:
    slept = total = 0.0
    for thread in threads:
        scale = thread.weight * thread.rate / thread.gaps
        for chain in thread.chains:
            slept += scale * sum(passed.slept for passed in chain)
            total += scale * len(chain)
    return slept / total if total else 0.0


def _with_reasons(judged: Judged) -> Judged:
    return replace(judged, reasons=tuple(_reasons(judged)))


def _reasons(judged: Judged) -> list[Reason]:
    process = judged.process
    found = []
    used = process.cpu_ns / 1e9 / max(process.seconds, 1e-9)
    if used < _IDLE:
        text = f"it used {used:.1%} of a processor while it was observed"
        found.append(Reason("idle", text, "estimate again while it is under load"))
    if judged.per_cpu_second < _FEW:
        number = f"{judged.per_cpu_second:,.0f}"
        text = f"it makes few system calls: {number} per second of CPU time"
        found.append(Reason("few_calls", text))
    if judged.waited >= _WAITING:
        text = f"{judged.waited:.0%} of its calls block, which ends a run"
        found.append(Reason("waits", text))
    parts: dict[Verdict, float] = {}
    for site in judged.sites:
        verdict = site.looked.verdict
        parts[verdict] = parts.get(verdict, 0.0) + site.part
    for verdict, name, what in (
        (Verdict.LONG, "long_gaps", "are too long for a gain"),
        (
            Verdict.UNTRANSLATABLE,
            "untranslatable",
            "contain instructions that are not translated",
        ),
        (Verdict.LEAVES, "leaves", "leave the translation"),
        (Verdict.REFUSED, "refused", "have code that could not be translated"),
        (Verdict.UNSEEN, "unseen", "were not stepped through: their gain is unknown"),
    ):
        if parts.get(verdict, 0.0) >= _SOME:
            found.append(Reason(name, f"{parts[verdict]:.0%} of its gaps {what}"))
    if parts.get(Verdict.NATIVE_CALL, 0.0) >= _SOME:
        found.append(_native_calls(judged.sites, parts[Verdict.NATIVE_CALL]))
    losing = sum(
        site.part
        for site in judged.sites
        if site.looked.verdict is Verdict.TRANSLATED and site.looked.saving.likely <= 0
    )
    if losing >= _SOME:
        text = f"{losing:.0%} of its gaps would take longer translated than they save"
        found.append(Reason("slower", text))
    rest = parts.get(Verdict.TRANSLATED, 0.0) - losing
    if rest >= _SOME and judged.dispatched < rest / 2:
        text = "its runs end before they repay the cost of entry"
        found.append(Reason("short_runs", text))
    return found


def _native_calls(sites: Sequence[Site], part: float) -> Reason:
    numbers: Counter[int] = Counter()
    for site in sites:
        if site.looked.verdict is Verdict.NATIVE_CALL:
            numbers[site.call] += site.part  # type: ignore[assignment]
    names = ", ".join(call_name(nr) for nr, _ in numbers.most_common(_NAMED))
    text = f"{part:.0%} of its gaps lead to calls that are never dispatched: {names}"
    return Reason("native_calls", text)
