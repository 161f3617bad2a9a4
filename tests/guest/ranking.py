# SPDX-License-Identifier: GPL-2.0-only
"""The ranking of ``ub estimate``, and what boosting each program then brings.

    .venv/bin/python -m tests.guest.ranking FILE

Twenty programs run side by side while ``ub estimate --json`` looks at the machine. Then
each is boosted, while the others are stopped, by an engine that decides by its model:
what boosting brings is the CPU time of a unit of work, natively and boosted, counted in
instructions; and what the engine has saved by the prices of that model. This runs in
the lab, where an instruction takes a nanosecond. Writes JSON to FILE, and prints a
table. Takes some minutes.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tests.guest.command import UB
from tests.guest.ranked import Candidate, cpu_ns, machine
from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.device.uapi import Tunable
from ubypass.errors import UbError

__all__ = ["Result", "main", "spearman", "table"]

_SECONDS = 2.0  # of the survey, and of the same without it
_WINDOW = 0.04  # seconds for each measurement of one program
_QUIET = 0.3  # seconds without a new region, after which nothing more is expected
_GROWTH = 4.0  # seconds after which no more is waited for
_STEP = 0.01


@dataclass(frozen=True, slots=True)
class Result:
    """One program.

    ``use``: share of the CPU beside all others. ``share`` and ``saved``: what the
    survey says boosting saves at most, of its CPU time and of the CPU; 0 if it has not
    named the program. ``native_ns`` and ``boosted_ns``: CPU time of a unit of work,
    None without any work. ``modelled``: share of its native CPU time that was saved by
    the prices of the model. ``dispatched``: share of calls. ``cost``: by which share
    the survey has made a unit of work longer, None if that is not known. ``why``: what
    the engine says about it and its sites.
    """

    title: str
    use: float
    share: float
    saved: float
    native_ns: float | None
    boosted_ns: float | None
    modelled: float
    dispatched: float
    cost: float | None
    why: str = ""

    @property
    def gain(self) -> float:
        """Share of its CPU time that boosting has saved."""
        if not self.native_ns or self.boosted_ns is None:
            return 0.0
        return 1 - self.boosted_ns / self.native_ns

    @property
    def brings(self) -> float:
        """Share of the CPU that boosting it saves beside all others, counted."""
        return self.use * self.gain

    @property
    def brings_modelled(self) -> float:
        """The same by the prices of the model."""
        return self.use * self.modelled


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """The correlation of ranks, with mean ranks of equal values; 0 without any."""
    first, second = _ranks(one), _ranks(other)
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 0.0
    return statistics.correlation(first, second)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    return [order.index(v) + (order.count(v) + 1) / 2 for v in values]


def table(results: Sequence[Result]) -> str:
    """Markdown, in the order of the survey."""
    lines = [
        "| | use of the CPU | estimate: share at most | of the CPU "
        "| by the model: share | of the CPU | counted: share | of the CPU "
        "| dispatched |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in sorted(results, key=lambda each: (-each.saved, -each.use)):
        lines.append(
            f"| {each.title} | {each.use:.1%} | {each.share:.1%} | {each.saved:.2%} "
            f"| {each.modelled:.1%} | {each.brings_modelled:.2%} "
            f"| {each.gain:.1%} | {each.brings:.2%} | {each.dispatched:.0%} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure in the lab; the exit status. ``arguments``: the file."""
    if os.environ.get("UBYPASS_LAB") != "1":
        return _boot(Path(arguments[0]).absolute())
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as home,
        machine(Path(home)) as found,
    ):
        for each in found:
            print(f"ranking: {each.title}: {each.pid}", file=sys.stderr, flush=True)
        alone = _together(found, _rest)
        answers: list[Mapping[str, Any]] = []
        watched = _together(found, lambda: answers.append(_estimate()))
        survey = answers[0]
        print("ranking: surveyed", file=sys.stderr, flush=True)
        results = _each(found, survey, alone, watched)
    extra = _extra_ns(found, alone, watched)
    data = {
        "survey": survey,
        "results": [
            {
                **asdict(each),
                "gain": each.gain,
                "brings": each.brings,
                "brings_modelled": each.brings_modelled,
            }
            for each in results
        ],
        "spearman": _correlations(results),
        "extra_ns": extra,
        "survey_seconds": survey["seconds"],
    }
    Path(arguments[0]).write_text(json.dumps(data, indent=1) + "\n")
    print(table(results))
    for name, value in _correlations(results).items():
        print(f"Spearman, {name}: {value:.2f}")
    lost = survey["lost"]
    print(
        f"cost to the programs: {extra / 1e6:.2f} ms of CPU time in a survey of "
        f"{survey['seconds']:.2f} s, by its own account {lost * 1e3:.2f} ms"
    )
    return 0


def _boot(file: Path) -> int:
    """Run this in the lab."""
    from tests.guest.conftest import prepare
    from ubypass.lab.run import capture

    prepare()
    file.touch()
    script = '"$1" -m ubypass.cli.main module load >&2 && exec "$1" -m "$2" "$3"'
    result = capture(
        ["sh", "-c", script, "sh", sys.executable, "tests.guest.ranking", str(file)],
        replace(
            PATIENT,
            icount=True,
            environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        ),
    )
    sys.stderr.write(result.stderr.decode(errors="replace"))
    sys.stdout.write(result.stdout.decode(errors="replace"))
    return result.exit_status


def _correlations(results: Sequence[Result]) -> dict[str, float]:
    saved = [each.saved for each in results]
    return {
        "by the model": spearman(saved, [each.brings_modelled for each in results]),
        "counted": spearman(saved, [each.brings for each in results]),
    }


_Figures = Mapping[int, tuple[int, int]]  # by PID: CPU time in ns, and work


def _together(found: Sequence[Candidate], meanwhile: Callable[[], object]) -> _Figures:
    """What all do side by side."""
    before = {each.pid: (cpu_ns(each.pid), each.work()) for each in found}
    meanwhile()
    after = {each.pid: (cpu_ns(each.pid), each.work()) for each in found}
    return {
        pid: (after[pid][0] - cpu, after[pid][1] - work)
        for pid, (cpu, work) in before.items()
    }


def _rest() -> None:
    """Start the same program, and do nothing for the time of a survey."""
    script = (
        "import sys, time, ubypass.cli.estimate, ubypass.cost.model\n"
        "import ubypass.estimate.machine, ubypass.estimate.rates\n"
        "time.sleep(float(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, str(_SECONDS)], check=True)


def _estimate() -> Mapping[str, Any]:
    words = [*UB, "estimate", "--json", "--seconds", str(_SECONDS)]
    done = subprocess.run(words, capture_output=True, check=True)
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def _extra_ns(found: Sequence[Candidate], alone: _Figures, watched: _Figures) -> float:
    """CPU time that the survey has cost them, by what their work took before."""
    extra = 0.0
    for each in found:
        (cpu, work), (then, done) = alone[each.pid], watched[each.pid]
        if work:
            extra += then - done * cpu / work
    return extra


def _each(
    found: Sequence[Candidate],
    survey: Mapping[str, Any],
    alone: _Figures,
    watched: _Figures,
) -> list[Result]:
    from ubypass.cli.session import Session

    named = {each["pid"]: each for each in survey["processes"]}
    total = sum(cpu for cpu, _ in alone.values())
    results = []
    for each in found:
        each.signal(signal.SIGSTOP)
    tune = {Tunable.GRACE_MS: 0, Tunable.SHARE_BITS: 0}
    with Session(tune, quiet=True) as session:
        for each in found:
            each.signal(signal.SIGCONT)
            native, boosted, modelled, share, why = _measure(session.loop, each)
            each.signal(signal.SIGSTOP)
            said = named.get(each.pid, {})
            (cpu, work), (then, done) = alone[each.pid], watched[each.pid]
            results.append(
                Result(
                    each.title,
                    cpu / total,
                    said.get("share_at_most", 0.0),
                    said.get("saved_at_most", 0.0),
                    native,
                    boosted,
                    modelled,
                    share,
                    then / done / (cpu / work) - 1 if work and done else None,
                    why,
                )
            )
            print(f"ranking: {results[-1]}", file=sys.stderr, flush=True)
    return results


def _measure(
    engine: Any, each: Candidate
) -> tuple[float | None, float | None, float, float, str]:
    """Natively, boosted, share saved by the model, share of calls dispatched, why."""
    from ubypass.engine.decision import Native
    from ubypass.process.status import identify

    native, _, _ = _window(each, lambda: time.sleep(_STEP))
    try:
        target = engine.attach(identify(each.pid))
    except UbError as error:
        return native, None, 0.0, 0.0, error.message
    loads = 0
    end = time.monotonic() + _GROWTH
    quiet = time.monotonic() + _QUIET
    while (now := time.monotonic()) < min(end, quiet):
        engine.step(_STEP)
        if (found := target.summary().loads) != loads:
            loads, quiet = found, now + _QUIET
    before = target.refresh_stats()
    saved_ns = target.summary().saved_ns or 0.0
    boosted, _, work = _window(each, lambda: engine.step(_STEP))
    after = target.refresh_stats()
    saved_ns = (target.summary().saved_ns or 0.0) - saved_ns
    dispatched = after.dispatched - before.dispatched
    calls = dispatched + after.native - before.native
    sites = map(target.decide, target.refresh_sites().values())
    reasons = {each.reason for each in sites if isinstance(each, Native)}
    why = "; ".join([*target.summary().notes, *sorted(reasons)])
    engine.detach(target)
    modelled = saved_ns / (native * work) if native and work else 0.0
    return native, boosted, modelled, dispatched / calls if calls else 0.0, why


def _window(
    each: Candidate, step: Callable[[], object]
) -> tuple[float | None, int, int]:
    """CPU time of a unit of work in ns, None if there was none; CPU time; work."""
    cpu, work = cpu_ns(each.pid), each.work()
    end = time.monotonic() + _WINDOW
    while time.monotonic() < end:
        step()
    spent, done = cpu_ns(each.pid) - cpu, each.work() - work
    return spent / done if done else None, spent, done


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
