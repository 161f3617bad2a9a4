# SPDX-License-Identifier: GPL-2.0-only
"""What came out of the runs of all programs, as a table and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.selftests.compare import Compared, compare

__all__ = ["Program", "Result", "table"]

#: What differs between two complaints of one kind.
_VARIES = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")


@dataclass
class Program:
    """``complaints``: of the kernel, boosted and not natively; figures by name."""

    name: str
    compared: Compared
    tests: int
    figures: dict[str, Any]
    complaints: list[str] = field(default_factory=list)


@dataclass
class Result:
    """Of one collection on one kernel.

    ``native`` and ``boosted``: the lines of `tests.selftests.inside`; ``made``: of the
    translations; ``log``: complaints of the kernel in the boosted boot.
    """

    release: str
    version: str
    collection: str
    native: list[dict[str, Any]]
    boosted: list[dict[str, Any]]
    made: dict[str, dict[str, Any]]
    log: tuple[str, ...] = ()

    def programs(self) -> Iterator[Program]:
        """Each program, compared over all its runs."""
        natively = {line["name"]: line for line in self.native}
        for line in self.boosted:
            before = natively.get(line["name"], {"native": [], "held": []})
            native = [*before["native"], *before["held"], *line["native"]]
            known = {_kind(text) for run in native for text in run["log"]}
            yield Program(
                line["name"],
                compare(
                    [run["verdicts"] for run in native],
                    [run["verdicts"] for run in line["boosted"]],
                ),
                max(len(run["verdicts"]) for run in native),
                _sum(line["boosted"]),
                [
                    text
                    for run in line["boosted"]
                    for text in run["log"]
                    if _kind(text) not in known
                ],
            )

    @property
    def passed(self) -> bool:
        """Whether no test differs, and the kernel has no new complaint."""
        return bool(self.boosted) and not any(
            each.compared.differing or each.complaints for each in self.programs()
        )

    def as_json(self) -> dict[str, Any]:
        """Everything but what the programs printed where they agree."""
        return {
            "release": self.release,
            "version": self.version,
            "collection": self.collection,
            "translations": self.made,
            "kernel_log": list(self.log),
            "programs": [
                {
                    "name": each.name,
                    "tests": each.tests,
                    "equal": each.compared.equal,
                    "passed": each.compared.passed,
                    "differing": each.compared.differing,
                    "unstable": each.compared.unstable,
                    "complaints": each.complaints,
                    **each.figures,
                }
                for each in self.programs()
            ],
        }


def _kind(text: str) -> str:
    return _VARIES.sub("#", text)


def _sum(runs: list[dict[str, Any]]) -> dict[str, Any]:
    names = (
        *("native", "dispatched", "runs", "declined", "filtered"),
        *("processes", "loads"),
    )
    figures: dict[str, Any] = {
        name: sum(run.get(name, 0) for run in runs) for name in (*names, "boosted")
    }
    for name in ("exits", "declines", "problems"):
        total: dict[str, int] = {}
        for run in runs:
            for what, count in run.get(name, {}).items():
                total[what] = total.get(what, 0) + count
        figures[name] = total
    return figures


def table(result: Result) -> Iterator[str]:
    """Lines for people: a row for each program, then what differs and how."""
    programs = list(result.programs())
    yield f"{result.release} (Debian {result.version})"
    yield f"{'program':44} tests equal differ unstable  calls dispatched"
    for each in programs:
        compared = each.compared
        yield (
            f"{each.name:44} {each.tests:5} {compared.equal:5} "
            f"{len(compared.differing):6} {len(compared.unstable):8} "
            f"{each.figures['dispatched'] + each.figures['native']:6} "
            f"{each.figures['dispatched']:10}"
        )
    for each in programs:
        for word in ("differing", "unstable"):
            for test, both in getattr(each.compared, word).items():
                yield f"{word}: {each.name}: {test}: {both}"
        for text in each.complaints:
            yield f"kernel: {each.name}: {text}"
