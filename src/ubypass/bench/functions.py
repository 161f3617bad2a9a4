# SPDX-License-Identifier: GPL-2.0-only
"""Library functions against their translations, on this CPU, in one process.

Each function is called in a loop, native and translated by turns; the medians are
compared. The region is built from the traced path of a call, as the engine does for a
hot gap. Needs no kernel module and no root.
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
from ubypass.bench.records import versioned
from ubypass.bench.subjects import VARIANTS, Prepared, prepare
from ubypass.errors import UbError
from ubypass.files import write_text
from ubypass.native.function import SUM, Function, Learned
from ubypass.places import own_environment

__all__ = ["Timing", "geomean", "measure", "summary", "time_function", "write"]

# Cycles of one round: many times the cost of an entry and an exit.
_ROUND = 150_000
_ROUNDS = 31


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of one function: median cycles of the time stamp counter per call.

    ``native_instructions`` and ``translated_instructions``: instructions executed per
    call. ``source_instructions``: user instructions in the region. ``left``: where the
    translation exits early (the times are then not comparable), None: nowhere.
    ``same``: whether results and memory are the same natively and translated.
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
        """Ratio of translated to native time."""
        return self.translated / self.native

    @property
    def growth(self) -> float:
        """Ratio of translated to native instructions executed."""
        return self.translated_instructions / max(self.native_instructions, 1)

    def as_json(self) -> dict[str, Any]:
        """Plain data, rounded; the names are part of the interface of ``--json``."""
        data = asdict(self)
        data["native"] = round(self.native, 2)
        data["translated"] = round(self.translated, 2)
        data["ratio"] = round(self.ratio, 4)
        data["growth"] = round(self.growth, 4)
        return data


def time_function(
    subject: Prepared, rounds: int = _ROUNDS, *, trusted: bool = False
) -> Timing:
    """Measure one function in this process. Raises UbError if it cannot be called."""
    function = Function(subject.address, subject.arguments)
    learned = Learned.learn(function, trusted=trusted)
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
    """Whether results and memory are the same natively and translated."""
    seen = []
    for translated in (False, True):
        subject.reset()
        call = learned.call(3, translated=translated)
        seen.append((call.registers[SUM], subject.state()))
    subject.reset()
    return seen[0] == seen[1]


def _executed(learned: Learned, translated: bool) -> int:
    """Instructions per call: the difference between three calls and two."""
    few = learned.call(2, translated=translated, count=True).instructions
    more = learned.call(3, translated=translated, count=True).instructions
    return more - few


def measure(
    report: Callable[[str], None], rounds: int = _ROUNDS, *, trusted: bool = False
) -> Iterator[Timing]:
    """Measure all functions in all variants, each variant in a process of its own.

    ``trusted``: translated as code of a trusted program. Raises UbError if one of these
    processes fails.
    """
    for variant, tunables in VARIANTS.items():
        report(f"functions{' as for ' + variant if variant else ''}")
        command = [
            sys.executable,
            "-m",
            "ubypass.bench.functions",
            variant,
            str(rounds),
            *(["trusted"] if trusted else []),
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
    """Geometric mean of the ratios of functions without early exits.

    Raises UbError if there are none.
    """
    ratios = [t.ratio for t in timings if t.left is None]
    if not ratios:
        raise UbError("none of the functions could be measured")
    return math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))


def summary(timings: Sequence[Timing]) -> dict[str, Any]:
    """The object that ``--json`` writes."""
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
    write_text(path, json.dumps(versioned(summary(timings)), indent=2) + "\n")


def _child(variant: str, rounds: int, trusted: bool) -> None:
    """Print one JSON object per function of ``variant``."""
    suffix = f" ({variant})" if variant else ""
    for subject in prepare(variant):
        try:
            timing = time_function(subject, rounds, trusted=trusted)
        except UbError as error:
            print(f"{subject.name}: {error}", file=sys.stderr)
            continue
        data = asdict(timing)
        data["name"] += suffix
        print(json.dumps(data), flush=True)


if __name__ == "__main__":
    _child(sys.argv[1], int(sys.argv[2]), "trusted" in sys.argv[3:])
