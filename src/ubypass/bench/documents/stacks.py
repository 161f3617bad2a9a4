# SPDX-License-Identifier: GPL-2.0-only
"""Servers on network stacks in user space, beside the same servers boosted."""

from __future__ import annotations

from collections.abc import Sequence

from ubypass.bench.documents.kind import grouped
from ubypass.bench.documents.wording import unit
from ubypass.bench.server.beside import Beside
from ubypass.page.content import Block, Bullets, Inline, Paragraph, Strong, Words

__all__ = ["blocks", "findings", "lines"]


def findings(rivals: Sequence[Beside]) -> list[Words]:
    """A sentence for each case that was run, and one for each reason of others."""
    return [words for rival in _distinct(rivals) for words in _finding(rival)]


def lines(
    rivals: Sequence[Beside], rates: int, columns: int
) -> list[tuple[Inline, ...]]:
    """Rows for the table of the server: its case, its cost, and dashes.

    ``columns``: number of columns; ``rates``: index of the one with requests per
    second; the last one tells of replies. Cases that were not run for one reason are
    one row.
    """
    found = []
    for rival in _distinct(rivals):
        cost, rate = rival.cost, rival.rate
        name = rival.name if rival.runs else f"on {rival.rival}"
        row: list[Inline] = ["-"] * columns
        row[0] = name
        row[1] = "not run" if cost is None else f"{cost:,.0f}"
        if rate is not None:
            row[rates] = f"{rate:,.0f}"
            row[-1] = _replies(rival)
        found.append(tuple(row))
    return found


def blocks(rivals: Sequence[Beside]) -> list[Block]:
    """What the rows mean, and why some were not run."""
    found: list[Block] = []
    for (server, name), own in grouped(rivals, lambda r: (r.server, r.rival)).items():
        text = (
            f"{server} on {name}, a network stack in user space, is native. {name} "
            "polls, so its CPU time is all of its processor's, whatever the load. "
            "Only with a network card of its own does it bypass the kernel; a virtual "
            "device is no bypass: each packet still passes the kernel's TAP device."
        )
        for said in dict.fromkeys(map(_about, own)):
            text += said
        found.append(Paragraph((text,)))
        why = tuple(words for each in _distinct(own) for words in _not_run(each))
        if why:
            found.append(Bullets(why))
    return found


def _about(rival: Beside) -> str:
    """What was run, and what has to be known to compare it."""
    if not rival.runs:
        return ""
    note = f"; {rival.note}" if rival.note else ""
    return f" Measured: {rival.version or rival.server}{note}."


def _distinct(rivals: Sequence[Beside]) -> list[Beside]:
    """Each that was run, and one for each reason of the others."""
    found: dict[object, Beside] = {}
    for rival in rivals:
        case = rival.case if rival.runs else None
        found.setdefault((rival.server, rival.rival, case, rival.not_run), rival)
    return list(found.values())


def _finding(rival: Beside) -> list[Words]:
    if not rival.runs:
        return _not_run(rival)
    title = f"{rival.server} {rival.case} on {rival.rival}"
    text = (
        f"{title}, native: {rival.rate or 0:,.0f} requests/s; polling included, "
        f"{rival.cost or 0:,.0f} {unit(rival.machine)} of CPU time for each request."
    )
    wrong: list[Words] = [(f"{title}: ", Strong("replies were wrong"), ".")]
    return [(text,), *(wrong if rival.wrong else [])]


def _not_run(rival: Beside) -> list[Words]:
    if rival.runs:
        return []
    why = rival.not_run or "no run was completed"
    return [(f"{rival.server} on {rival.rival}: not run: {why}",)]


def _replies(rival: Beside) -> Inline:
    if rival.wrong:
        return Strong(f"{rival.wrong} of {rival.checked:,} wrong")
    return f"{rival.checked:,} right"
