# SPDX-License-Identifier: GPL-2.0-only
"""What is tried on each kernel, what came out, and the page that says so."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

__all__ = [
    "CHECKS",
    "COUNTED",
    "TARGETS",
    "Check",
    "Result",
    "Target",
    "load",
    "page",
    "save",
]


@dataclass(frozen=True)
class Target:
    """What is tried: the newest kernel of a suite, of a flavour, on a processor.

    ``flavour``: ``rt`` or ``cloud``. ``processor``: QEMU's model. ``series``: of a
    kernel beside the one that the suite recommends (``6.12``); "": that one.
    """

    suite: str
    flavour: str = ""
    processor: str = "max"
    series: str = ""


# With it the kernel isolates page tables, and clears buffers; returns safely (SRSO).
_ISOLATING, _RETURNING = "Skylake-Server", "EPYC-Milan"

#: By name.
TARGETS = {
    "bookworm": Target("bookworm"),
    "bookworm-rt": Target("bookworm", flavour="rt"),
    "bookworm-cloud": Target("bookworm", flavour="cloud"),
    "bookworm-6.12": Target("bookworm", series="6.12"),
    "bookworm-skylake": Target("bookworm", processor=_ISOLATING),
    "bookworm-milan": Target("bookworm", processor=_RETURNING),
    "trixie": Target("trixie"),
    "trixie-rt": Target("trixie", flavour="rt"),
    "trixie-skylake": Target("trixie", processor=_ISOLATING),
    "trixie-milan": Target("trixie", processor=_RETURNING),
    "trixie-backports": Target("trixie-backports"),
    "sid": Target("sid"),
}


class Check(StrEnum):
    """One column of the page."""

    BUILT = "built"
    BOOTED = "booted"
    LOADED = "loaded"
    EXACT = "exact"
    GETPPID = "boosted"
    VECTOR = "vector"
    RSEQ = "rseq"
    UNLOADED = "unloaded"
    LOG = "log"
    COST = "counted"
    GUEST = "guest tests"


CHECKS = tuple(Check)
#: Checks of a boot of their own, in which the clock counts instructions.
COUNTED = (Check.COST,)
# Done on request: they take as long as most of `make test`.
_ON_REQUEST = (Check.GUEST,)

_MEANING = {
    Check.BUILT: "with its suite's own compiler and libc; warnings are errors",
    Check.BOOTED: "in the lab (QEMU, emulated); below: what the kernel says it does "
    "against attacks",
    Check.LOADED: "`ub module load`",
    Check.EXACT: "a translation by hand: registers afterwards as natively, and 99 % of "
    "200,000 calls are dispatched",
    Check.GETPPID: "`ub run` of a getppid loop that checks what it gets",
    Check.VECTOR: "the same of pread and a sum in vector registers",
    Check.RSEQ: "rseq critical sections of a boosted thread that is moved between "
    "processors are restarted",
    Check.UNLOADED: "`ub module unload`",
    Check.LOG: "no complaint of the kernel from beginning to end",
    Check.COST: "one turn of loops of getppid and of pread (64 bytes, page cache), "
    "natively and boosted: instructions, where the emulator's clock counts them",
    Check.GUEST: "the tests of `tests/guest`, in boots of their own; on request, on "
    "the processor `max` only",
}


_ELSEWHERE = (Path(__file__).parent / "elsewhere.md").read_text()


@dataclass
class Result:
    """Of one target, which ``name`` is in `TARGETS`.

    ``good`` and ``found`` are by the name of a check; dates are UTC.
    """

    name: str
    release: str
    compiler: str
    date: str = ""
    good: dict[str, bool] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)

    def note(self, check: Check, good: bool, found: str = "") -> None:
        """Add what came out of a check."""
        self.good[check.value] = good
        self.found[check.value] = found
        self.date = datetime.datetime.now(datetime.UTC).date().isoformat()

    @property
    def passed(self) -> bool:
        """Whether all checks were done, but for those on request, and all are good."""
        needed = {check.value for check in CHECKS if check not in _ON_REQUEST}
        return needed <= self.good.keys() and all(self.good.values())


def load(file: Path) -> list[Result]:
    """The results that `save` has written; none without the file."""
    if not file.exists():
        return []
    return [Result(**each) for each in json.loads(file.read_text())]


def save(file: Path, result: Result) -> None:
    """Add ``result`` to a file; it replaces the one of its target, the others stay."""
    others = [each for each in load(file) if each.name != result.name]
    names = list(TARGETS)
    results = sorted((*others, result), key=lambda each: names.index(each.name))
    text = json.dumps([asdict(each) for each in results], indent=1)
    file.write_text(text + "\n")


def page(results: Iterable[Result]) -> str:
    """docs/kernels.md."""
    rows = sorted(results, key=lambda each: _version(each.release))
    head = " | ".join(check.value for check in CHECKS)
    lines = [
        "# Kernels",
        "",
        "What was tried on which kernel of Debian, the newest of each suite, and on",
        "which processor of the emulator. `max` has all features; with",
        "`Skylake-Server` the kernel isolates page tables and clears buffers, with",
        "`EPYC-Milan` it returns through SRSO's safe return. Written by",
        "`make test-kernels` from `kernels.json`; empty means not tried. Counts are",
        "of an emulated machine: they show that calls are dispatched, not how fast.",
        "",
        f"| release | suite | processor | compiler | {head} | date |",
        f"|{'---|' * (len(CHECKS) + 5)}",
    ]
    for each in rows:
        cells = [_cell(each, check) for check in CHECKS]
        lines.append(
            f"| {each.release} | {TARGETS[each.name].suite} | "
            f"{TARGETS[each.name].processor} | {each.compiler} | "
            f"{' | '.join(cells)} | {each.date} |"
        )
    lines += ["", "| column | means |", "|---|---|"]
    lines += [f"| {check.value} | {_MEANING[check]} |" for check in CHECKS]
    lines += ["", "## What was found", ""]
    for each in rows:
        processor = TARGETS[each.name].processor
        lines += [f"### {each.release}, {processor}", ""]
        for check in CHECKS:
            found = each.found.get(check.value)
            if found:
                lines.append(f"- {check.value}: {found}")
        lines.append("")
    return "\n".join([*lines, _ELSEWHERE])


def _cell(result: Result, check: Check) -> str:
    good = result.good.get(check.value)
    return "" if good is None else "yes" if good else "**no**"


def _version(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)]
