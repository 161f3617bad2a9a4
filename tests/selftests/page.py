# SPDX-License-Identifier: GPL-2.0-only
"""docs/selftests.md, written from docs/selftests.json and what people found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.selftests.suite import LEFT_OUT

__all__ = ["load", "page", "save"]

_FOUND = Path(__file__).with_name("found.md")

_HEAD = """\
# The kernel's own tests

Upstream's selftests for the boundary of system calls, natively and boosted by force,
compared test by test. Written by `make test-selftests` from `selftests.json`.

Every system call site that a program was seen to use is translated, whatever that
saves, and, as far as the module has room, every process has its translations before its
first own instruction, and a child after its fork. A test is *equal* if all runs, native
and boosted, gave the same verdict (also "not ok", where the lab lacks something),
*differing* if native runs agree and a boosted one does not, *unstable* if native runs
do not agree among themselves. What does not end in time counts as a verdict as well.
*Calls* are those of boosted runs that could be dispatched; *dispatched* is how many of
them were made from a translation, *runs* how often one was entered. 32-bit programs run
natively, attached or not.
"""


def load(file: Path) -> list[dict[str, Any]]:
    """Records of collections; none without the file."""
    found: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return found


def save(file: Path, record: dict[str, Any]) -> None:
    """Add a record: of a program that has one for this kernel, it replaces it."""
    records = load(file)
    same = [r for r in records if r["release"] == record["release"]]
    programs = {each["name"]: each for r in same for each in r["programs"]}
    programs |= {each["name"]: each for each in record["programs"]}
    merged = {
        "release": record["release"],
        "version": record["version"],
        "programs": [programs[name] for name in sorted(programs)],
    }
    records = [r for r in records if r["release"] != record["release"]] + [merged]
    file.write_text(json.dumps(records, indent=1) + "\n")


def page(records: Iterable[dict[str, Any]]) -> str:
    """docs/selftests.md."""
    lines = [_HEAD]
    for record in records:
        programs = record["programs"]
        lines += [
            f"## {record['release']}",
            "",
            f"Debian's source {record['version']}. {_totals(programs)}",
            "",
            "| program | tests | equal | differing | unstable | calls | dispatched "
            "| runs | declined |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        lines += [_row(each) for each in programs]
        lines.append("")
        notes = [note for each in programs for note in _notes(each)]
        if notes:
            lines += ["What differs, is unstable, or was not loaded:", "", *notes, ""]
    lines += ["## Left out", ""]
    lines += [f"- `{name}`: {why}" for name, why in LEFT_OUT.items()]
    lines += ["", _FOUND.read_text()]
    return "\n".join(lines)


def _calls(each: dict[str, Any]) -> int:
    calls: int = each["dispatched"] + each["native"]
    return calls


def _totals(programs: list[dict[str, Any]]) -> str:
    tests, equal, dispatched = (
        sum(each[what] for each in programs)
        for what in ("tests", "equal", "dispatched")
    )
    differing, unstable = (
        sum(len(each[what]) for each in programs) for what in ("differing", "unstable")
    )
    return (
        f"{len(programs)} programs, {tests:,} tests: {equal:,} equal, {differing} "
        f"differing, {unstable} unstable; {sum(map(_calls, programs)):,} calls, "
        f"{dispatched:,} of them dispatched."
    )


def _row(each: dict[str, Any]) -> str:
    return (
        f"| {each['name']} | {each['tests']} | {each['equal']} "
        f"| {len(each['differing']) or ''} | {len(each['unstable']) or ''} "
        f"| {_calls(each):,} | {each['dispatched']:,} | {each['runs']:,} "
        f"| {each['declined']:,} |"
    )


def _notes(each: dict[str, Any]) -> list[str]:
    lines = [
        f"- {each['name']}, {word}: {test or 'a test without a name'}: natively "
        f"{_counts(both['native'])}; boosted {_counts(both['boosted'])}"
        for word in ("differing", "unstable")
        for test, both in each[word].items()
    ]
    lines += [f"- {each['name']}, kernel: `{text}`" for text in each["complaints"]]
    return lines + [
        f"- {each['name']}, {count} regions beside {each['loads']} that were loaded, "
        f"in {each['processes']} processes: {why}"
        for why, count in each["problems"].items()
    ]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{verdict} ({count})" for verdict, count in counts.items())
