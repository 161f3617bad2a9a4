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

__all__ = ["CHECKS", "PROGRAMS", "SUITES", "Check", "Result", "load", "page", "save"]

_ROOT = Path(__file__).resolve().parents[2]

#: Programs that run in the guest, compiled on the host.
PROGRAMS = _ROOT / "build" / "tests" / "kernels"

#: Of each the newest kernel is taken.
SUITES = ("bookworm", "trixie", "trixie-backports", "sid")


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


CHECKS = tuple(Check)

_MEANING = {
    Check.BUILT: "with its suite's own compiler and libc; warnings are errors",
    Check.BOOTED: "in the lab (QEMU, emulated)",
    Check.LOADED: "`ub module load`",
    Check.EXACT: "a translation by hand: registers afterwards as natively, and 99 % of "
    "200,000 calls are dispatched",
    Check.GETPPID: "`ub run` of a getppid loop that checks what it gets",
    Check.VECTOR: "the same of pread and a sum in vector registers",
    Check.RSEQ: "rseq critical sections of a boosted thread that is moved between "
    "processors are restarted",
    Check.UNLOADED: "`ub module unload`",
    Check.LOG: "no complaint of the kernel from beginning to end",
}


_ELSEWHERE = (Path(__file__).parent / "elsewhere.md").read_text()


@dataclass
class Result:
    """Of one kernel. ``good`` and ``found`` by the name of a check; dates are UTC."""

    suite: str
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
        """Whether all checks were done, and all are good."""
        return all(self.good.get(check.value, False) for check in CHECKS)


def load(file: Path) -> list[Result]:
    """The results that `save` has written; none without the file."""
    if not file.exists():
        return []
    return [Result(**each) for each in json.loads(file.read_text())]


def save(file: Path, result: Result) -> None:
    """Add ``result`` to a file; it replaces the one of its suite, the others stay."""
    others = [each for each in load(file) if each.suite != result.suite]
    results = sorted((*others, result), key=lambda each: SUITES.index(each.suite))
    text = json.dumps([asdict(each) for each in results], indent=1)
    file.write_text(text + "\n")


def page(results: Iterable[Result]) -> str:
    """docs/kernels.md."""
    rows = sorted(results, key=lambda each: _version(each.release))
    head = " | ".join(check.value for check in CHECKS)
    lines = [
        "# Kernels",
        "",
        "What was tried on which kernel of Debian, the newest of each suite. Written",
        "by `make test-kernels` from `kernels.json`; empty means not tried. Counts are",
        "of an emulated machine: they show that calls are dispatched, not how fast.",
        "",
        f"| release | suite | compiler | {head} | date |",
        f"|{'---|' * (len(CHECKS) + 4)}",
    ]
    for each in rows:
        cells = [_cell(each, check) for check in CHECKS]
        lines.append(
            f"| {each.release} | {each.suite} | {each.compiler} | "
            f"{' | '.join(cells)} | {each.date} |"
        )
    lines += ["", "| column | means |", "|---|---|"]
    lines += [f"| {check.value} | {_MEANING[check]} |" for check in CHECKS]
    lines += ["", "## What was found", ""]
    for each in rows:
        lines += [f"### {each.release}", ""]
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
