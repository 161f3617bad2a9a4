# SPDX-License-Identifier: GPL-2.0-only
"""Real functions against their translations, on this CPU, in one process.

Each function of the machine's libraries is called in a loop, natively and
translated by turns; the medians are compared. What is translated is the way that a
call takes, traced first, as the engine has the module do it with a gap that is hot.
Needs no kernel module and no root.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ubypass import child
from ubypass.bench.subjects import VARIANTS, Prepared, prepare
from ubypass.errors import UbError
from ubypass.files import write_text
from ubypass.native.function import SUM, Function, Learned
from ubypass.places import own_environment

__all__ = ["Timing", "geomean", "measure", "summary", "time_function", "write"]

# Cycles that one round should take: much more than entering and leaving does.
_ROUND = 150_000
_ROUNDS = 31


@dataclass(frozen=True, slots=True)
class Timing:
    """One function; cycles of the time stamp counter per call, medians.

    ``ratio`` is translated to native; ``native_instructions`` and
    ``translated_instructions`` are executed per call. ``left`` says where the
    translation leaves early (then it is no fair figure), ``same`` whether both ways
    return the same. ``source_instructions`` is the size of the region.
    """

    name: str
    group: str
    native: float
    translated: float
    native_instructions: int
    translated_instructions: int
    source_instructions: int
    same: bool
    left: str | None = None

    @property
    def ratio(self) -> float:
        """Translated to native time."""
        return self.translated / self.native

    @property
    def growth(self) -> float:
        """Translated to native instructions executed."""
        return self.translated_instructions / max(self.native_instructions, 1)

    def as_json(self) -> dict[str, Any]:
        """Plain data, rounded; the names are part of the interface of ``--json``."""
        data = asdict(self)
        data["native"] = round(self.native, 2)
        data["translated"] = round(self.translated, 2)
        data["ratio"] = round(self.ratio, 4)
        data["growth"] = round(self.growth, 4)
        return data


def time_function(subject: Prepared, rounds: int = _ROUNDS) -> Timing:
    """Measure one function in this process. Raises UbError if it cannot be called."""
    learned = Learned.learn(Function(subject.address, subject.arguments))
    same = _same(learned, subject)
    warm = learned.call(64, translated=False).cycles / 64
    turns = max(2, min(20_000, int(_ROUND / max(warm, 1))))
    native, translated = [], []
    for _ in range(rounds):
        native.append(learned.call(turns, translated=False).cycles / turns)
        translated.append(learned.call(turns, translated=True).cycles / turns)
    return Timing(
        name=subject.name,
        group=subject.group,
        native=statistics.median(native),
        translated=statistics.median(translated),
        native_instructions=_executed(learned, False),
        translated_instructions=_executed(learned, True),
        source_instructions=learned.region.instruction_count,
        same=same,
        left=learned.left,
    )


def _same(learned: Learned, subject: Prepared) -> bool:
    """Whether both ways return the same and leave the same in memory."""
    seen = []
    for translated in (False, True):
        subject.reset()
        call = learned.call(3, translated=translated)
        seen.append((call.registers[SUM], subject.state()))
    subject.reset()
    return seen[0] == seen[1]


def _executed(learned: Learned, translated: bool) -> int:
    """Instructions per call: what one call more executes more."""
    few = learned.call(2, translated=translated, count=True).instructions
    more = learned.call(3, translated=translated, count=True).instructions
    return more - few


def measure(report: Callable[[str], None], rounds: int = _ROUNDS) -> Iterator[Timing]:
    """All functions in all variants, each variant in a process of its own."""
    for variant, tunables in VARIANTS.items():
        report(f"functions{' as for ' + variant if variant else ''}")
        command = [
            sys.executable,
            "-m",
            "ubypass.bench.functions",
            variant,
            str(rounds),
        ]
        environment = own_environment()
        if tunables:
            environment["GLIBC_TUNABLES"] = tunables
        with child.start(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    data = json.loads(line)
                    report(f"{data['name']}")
                    yield Timing(**data)
                process.wait()
            finally:
                child.end(process)
        if process.returncode:
            raise UbError(
                f"measuring the functions failed (status {process.returncode})"
            )


def geomean(timings: Sequence[Timing]) -> float:
    """Geometric mean of the ratios; of those that stay inside only."""
    ratios = [t.ratio for t in timings if t.left is None]
    if not ratios:
        raise UbError("no function could be measured")
    return math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))


def summary(timings: Sequence[Timing]) -> dict[str, Any]:
    """What ``--json`` writes."""
    inside = [t for t in timings if t.left is None]
    return {
        "functions": [timing.as_json() for timing in timings],
        "count": len(inside),
        "left_early": len(timings) - len(inside),
        "geomean": round(geomean(timings), 4),
        "same_results": all(timing.same for timing in timings),
    }


def write(path: Path, timings: Sequence[Timing]) -> None:
    """Write the summary. Raises UbError."""
    write_text(path, json.dumps(summary(timings), indent=2) + "\n")


def _child(variant: str, rounds: int) -> None:
    """Print one JSON object per function of ``variant``."""
    suffix = f" ({variant})" if variant else ""
    for subject in prepare(variant):
        try:
            timing = time_function(subject, rounds)
        except UbError as error:
            print(f"{subject.name}: {error}", file=sys.stderr)
            continue
        data = asdict(timing)
        data["name"] += suffix
        print(json.dumps(data), flush=True)


if __name__ == "__main__":
    _child(sys.argv[1], int(sys.argv[2]))
