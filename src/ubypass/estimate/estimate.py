# SPDX-License-Identifier: GPL-2.0-only
"""The estimate: the saving of some processes by a cost model and a survey."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ubypass.cost.model import Model, Range
from ubypass.errors import UbError
from ubypass.estimate.followed import Followed
from ubypass.estimate.judge import NOTHING, Judged, Site, judge
from ubypass.estimate.rates import Tracepoints
from ubypass.estimate.reasons import Reason, declined
from ubypass.estimate.survey import Source, survey
from ubypass.process.calls import call_name
from ubypass.process.memory import ProcessMemory
from ubypass.process.symbols import Symbols

__all__ = ["ESTIMATE_VERSION", "Estimate", "estimate", "open_source"]

#: Version of the output of ``ub estimate --json`` with a process or a command.
ESTIMATE_VERSION = 1

_NAMED = 24  # sites whose addresses get names


@dataclass(frozen=True, slots=True)
class Estimate:
    """``share``: the share saved of the CPU time of all ``processes`` together.

    ``declined``: pairs of process id and reason against boosting. ``seconds``: duration
    of the survey. ``lost``: the part of the work of the processes in that time that the
    survey cost. ``names``: symbols by resume address. ``poorer``: why tracepoints were
    not used; empty if they were.
    """

    processes: tuple[Judged, ...]
    share: Range
    declined: tuple[tuple[int, Reason], ...]
    model: Model
    source: str
    poorer: str
    seconds: float
    lost: float
    steps: int
    bursts: int
    names: dict[int, str]

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        return {
            "version": ESTIMATE_VERSION,
            "share": _range(self.share),
            "model": {"name": self.model.name, "about": self.model.describe()},
            "source": self.source,
            "poorer_because": self.poorer or None,
            "seconds": self.seconds,
            "lost": self.lost,
            "steps": self.steps,
            "bursts": self.bursts,
            "processes": [self._process(judged) for judged in self.processes],
        }

    def reasons(self, judged: Judged) -> tuple[Reason, ...]:
        """All reasons against boosting that process, lasting reasons first."""
        pid = judged.process.pid
        return (*(r for p, r in self.declined if p == pid), *judged.reasons)

    def _process(self, judged: Judged) -> dict[str, Any]:
        process = judged.process
        return {
            "pid": process.pid,
            "name": process.name,
            "threads": len(process.threads),
            "cpu_seconds": process.cpu_ns / 1e9,
            "calls_per_second": judged.per_second,
            "calls_per_cpu_second": judged.per_cpu_second,
            "calls_counted_by": "kernel" if judged.counted else "bursts",
            "waiting": judged.waited,
            "dispatched": judged.dispatched,
            "calls_per_run": judged.per_run,
            "share": _range(judged.share),
            "sites": [self._site(site) for site in judged.sites],
            "reasons": [
                {
                    "name": reason.name,
                    "text": reason.text,
                    "hint": reason.hint or None,
                    "lasting": reason.lasting,
                }
                for reason in self.reasons(judged)
            ],
        }

    def _site(self, site: Site) -> dict[str, Any]:
        looked = site.looked
        return {
            "address": site.kind.resume,
            "symbol": self.names.get(site.kind.resume),
            "call": call_name(site.kind.nr),
            "following": call_name(site.call),
            "calls_per_second": site.per_second,
            "part": site.part,
            "gap_ns": site.gap_ns,
            "instructions": looked.instructions if looked.paths else None,
            "growth": looked.growth,
            "verdict": looked.verdict.value,
            "why": looked.why or None,
            "saving_ns": _range(looked.saving) if looked.growth is not None else None,
            "share": _range(site.share),
        }


def open_source() -> tuple[Source, str]:
    """The best available source of events; if not tracepoints, the reason as text."""
    try:
        return Tracepoints(), ""
    except UbError as error:
        return Followed(), error.message


def estimate(
    pids: Callable[[], Sequence[int]],
    seconds: float,
    model: Model,
    is_over: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] = lambda _: None,
) -> Estimate:
    """Survey the processes ``pids()`` for ``seconds`` and estimate their savings.

    ``is_over``: ends the survey early. ``progress``: called with messages for people.
    Raises UbError if the processes cannot be traced or ended too early.
    """
    first = list(pids())
    source, poorer = open_source()
    if poorer:
        progress(f"tracing calls with ptrace, which is less precise: {poorer}")
    found = survey(pids, seconds, source, model, is_over)
    judged = [judge(process, model, found.gap_ns) for process in found.processes]
    judged = [each for each in judged if each.process.seconds > 0]
    if not judged:
        raise UbError(
            f"process {(first[0] if first else '')} ended before it could be observed",
            "boosting cannot help a program that runs so briefly",
        )
    _require_rate(judged, poorer)
    total = sum(each.process.cpu_ns for each in judged)
    share = sum(
        (each.share.times(each.process.cpu_ns / max(total, 1)) for each in judged),
        NOTHING,
    )
    judged.sort(key=lambda each: -each.process.cpu_ns)
    against = [(e.process.pid, r) for e in judged for r in declined(e.process.pid)]
    names: dict[int, str] = {}
    for each in judged:
        names.update(_names(each))
    work = sum(each.process.use * each.process.seconds for each in judged)
    return Estimate(
        tuple(judged),
        share,
        tuple(against),
        model,
        found.source,
        poorer,
        found.seconds,
        found.lost / work if work else 0.0,
        found.steps,
        found.bursts,
        names,
    )


def _require_rate(judged: Sequence[Judged], poorer: str) -> None:
    """Raise UbError if no call rate is known: without tracepoints it comes from the
    kernel's counters alone.
    """
    for each in judged:
        seen = any(thread.chains for thread in each.process.threads.values())
        if poorer and seen and math.isclose(each.per_cpu_second, 0.0):
            raise UbError(
                f"cannot count the calls of process {each.process.pid}: {poorer}",
                "run as root, on a kernel with tracefs",
            )


def _names(judged: Judged) -> dict[int, str]:
    """Symbols of the most frequent sites; empty on any error, as they are optional."""
    try:
        with ProcessMemory(judged.process.pid) as memory:
            symbols = Symbols(memory)
            sites = [site.kind.resume for site in judged.sites[:_NAMED]]
            return {ip: symbols.name(ip) for ip in dict.fromkeys(sites)}
    except UbError:
        return {}


def _range(found: Range) -> dict[str, float]:
    return {"low": found.low, "likely": found.likely, "high": found.high}
