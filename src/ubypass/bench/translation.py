# SPDX-License-Identifier: GPL-2.0-only
"""The cost of translating on this machine: CPU time of each stage, and memory.

The regions begin at functions of programs on this machine and are explored as by the
engine. Each is built once in a fresh process, in which nothing is cached yet, and then
again. Needs no kernel module and no root.
"""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ubypass import child
from ubypass.abi import Abi
from ubypass.bench.machine import describe
from ubypass.bench.records import versioned
from ubypass.engine.build import uncollected
from ubypass.errors import UbError
from ubypass.files import write_text
from ubypass.places import own_environment
from ubypass.process.elf import open_elf
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate
from ubypass.verify.check import check

__all__ = ["STAGES", "Cost", "Costs", "measure", "write"]

#: The stages of a build, in order.
STAGES = ("discover", "translate", "verify")
#: Programs that the regions are taken from; missing ones are skipped.
PROGRAMS = (
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/bin/redis-server",
    "/usr/sbin/nginx",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
)
_HINT = f"install one of {', '.join(PROGRAMS)}"
_BASE = 0x7F00_0000_0000
# Most instructions in a region, and explored around its start.
_LIMITS = Limits(region=1500, reach=400, fringe=400)
# Smaller functions (bytes) show little; at most that many functions per program.
_LEAST = 300
_EACH = 6
# Builds of each region after its first one.
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one region.

    ``first`` and ``again``: microseconds of CPU time by stage, of the first build and
    the median of later ones. ``instructions``: user instructions; ``code``: bytes
    generated.
    """

    name: str
    instructions: int
    code: int
    first: tuple[float, ...]
    again: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of all regions, and memory of the process that built them, in bytes.

    ``peak``: peak resident memory; ``before`` and ``after``: resident memory before and
    after ``builds`` more builds. ``compiled``: whether the translator is compiled.
    """

    regions: tuple[Cost, ...]
    peak: int
    before: int
    after: int
    builds: int
    compiled: bool

    def each(self, warm: bool) -> tuple[float, ...]:
        """Microseconds per user instruction by stage, over all regions."""
        instructions = sum(cost.instructions for cost in self.regions)
        rows = [cost.again if warm else cost.first for cost in self.regions]
        return tuple(sum(column) / instructions for column in zip(*rows, strict=True))

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        data = asdict(self)
        for name, warm in (("first", False), ("again", True)):
            each = dict(zip(STAGES, self.each(warm), strict=True))
            each["total"] = sum(each.values())
            data[f"us_per_instruction_{name}"] = {
                k: round(v, 2) for k, v in each.items()
            }
        # The figure that matters to users: an engine builds most code for the first
        # time.
        data["us_per_instruction"] = data["us_per_instruction_first"]
        return data


def measure(report: Callable[[str], None], builds: int = 10_000) -> Costs:
    """Measure in a fresh process, with ``builds`` more builds to detect memory leaks.

    Raises UbError.
    """
    report(f"translating, and {builds} times more")
    command = [sys.executable, "-m", "ubypass.bench.translation", str(builds)]
    done = child.run(command, stdout=subprocess.PIPE, text=True, env=own_environment())
    if done.returncode:
        raise UbError(f"measuring the translator failed (status {done.returncode})")
    data = json.loads(done.stdout)
    data["regions"] = tuple(Cost(**cost) for cost in data["regions"])
    return Costs(**data)


def write(file: Path, costs: Costs) -> None:
    """Write the figures and the machine as JSON. Raises UbError."""
    data = versioned({"machine": asdict(describe()), **costs.as_json()})
    write_text(file, json.dumps(data, indent=1) + "\n")


def _starts(path: str) -> tuple[BytesReader, list[int]]:
    """A program's code, and the starts of some of its functions."""
    elf = open_elf(path)
    ranges = elf.function_ranges()
    large = sorted(start for start, size in ranges if size > _LEAST)
    step = max(1, len(large) // _EACH)
    code = {_BASE + at: data for at, data in elf.executable_bytes().items()}
    return BytesReader(code), [_BASE + start for start in large[step // 2 :: step]]


def _spec(start: int) -> RegionSpec:
    """The specification for code that was executed.

    Such code is kept although no system call is reachable: the jump slots of a file are
    empty.
    """
    return RegionSpec((HotEntry(start, 0),), seeds=(start,))


def _build(
    reader: BytesReader, start: int, abi: Abi
) -> tuple[Region, int, list[float]]:
    """One build: the region, bytes of code, microseconds by stage."""
    with uncollected():
        marks = [time.process_time()]
        region = discover(_spec(start), reader, _LIMITS)
        marks.append(time.process_time())
        translation = translate(region, abi)
        marks.append(time.process_time())
        check(translation, abi)
        marks.append(time.process_time())
    took = [1e6 * (b - a) for a, b in itertools.pairwise(marks)]
    return region, len(translation.code), took


def _costs(builds: int) -> Costs:
    abi = Abi()
    todo: list[tuple[str, BytesReader, int]] = []
    for path in PROGRAMS:
        if Path(path).exists():
            reader, starts = _starts(path)
            todo += [(Path(path).name, reader, start) for start in starts]
    # The warm-up of an engine before its first region.
    _build(BytesReader({_BASE: b"\x0f\x05\xc3"}), _BASE, abi)
    costs: list[Cost] = []
    for name, reader, start in todo:
        region, code, first = _build(reader, start, abi)
        again = [_build(reader, start, abi)[2] for _ in range(_ROUNDS)]
        medians = [statistics.median(column) for column in zip(*again, strict=True)]
        name = f"{name}+{start - _BASE:#x}"
        size = region.instruction_count
        costs.append(Cost(name, size, code, tuple(first), tuple(medians)))
    if not costs:
        raise UbError("none of the programs with code to translate is installed", _HINT)
    by_size = sorted(range(len(costs)), key=lambda n: costs[n].instructions)
    before = _memory()
    for number in range(builds):
        # Only the smaller half of the regions, so that all builds take seconds.
        _, reader, start = todo[by_size[number % max(1, len(by_size) // 2)]]
        _build(reader, start, abi)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    compiled = not str(sys.modules[translate.__module__].__file__).endswith(".py")
    after = _memory()
    # The kernel counts pages in batches, so the peak may be below the present value.
    return Costs(tuple(costs), max(peak, after), before, after, builds, compiled)


def _memory() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(_costs(int(sys.argv[1])))))
    except UbError as error:
        sys.exit(f"ubypass: {error}")
