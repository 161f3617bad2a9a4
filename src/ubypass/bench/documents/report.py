# SPDX-License-Identifier: GPL-2.0-only
"""One page about several files of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ubypass.bench.documents import by_size, machines, transition
from ubypass.bench.documents.names import ordered, titles
from ubypass.bench.documents.read import Batch
from ubypass.bench.documents.table import KINDS
from ubypass.errors import UbError
from ubypass.page.content import (
    Block,
    Bullets,
    Code,
    Column,
    Inline,
    Paragraph,
    Section,
    Standard,
    Subheading,
    Table,
)
from ubypass.page.document import Attached, document

__all__ = ["report"]

_TITLE = "What boosting gains"
_LEAD = (
    "Measured by ub bench. Counted, timed and modelled figures are labelled, and "
    "never in one plot: one instruction is not one nanosecond."
)

_MEANS = {
    Standard.COUNTED: "Counted: instructions, not time",
    Standard.TIMED: "Timed on a processor",
    Standard.MODELLED: "Modelled",
    Standard.EMULATED: "Timed in an emulator: not the time of a processor",
}


def report(batches: Sequence[Batch], errors: Sequence[UbError] = ()) -> str:
    """The HTML page, with sections in the order of kinds.

    ``errors``: of files that are not on the page. The page is a function of the input
    only. Raises UbError without matplotlib.
    """
    order = [kind.command for kind in KINDS]
    by_kind = sorted(batches, key=lambda batch: order.index(batch.kind.command))
    batches = ordered(by_kind)
    sections = [
        _found(batches),
        _measured(batches),
        *(
            replace(batch.section, title=title)
            for batch, title in zip(batches, titles(batches), strict=True)
        ),
        *by_size.sections(batches),
        *machines.sections(batches),
        transition.section(),
    ]
    if errors:
        missing = tuple((error.message,) for error in errors)
        sections.append(Section("Skipped files", (Bullets(missing),)))
    return document(_TITLE, _LEAD, sections, _attached(batches))


def _found(batches: Sequence[Batch]) -> Section:
    """The findings, grouped by standard."""
    blocks: list[Block] = []
    several = len(batches) > 1
    for standard, means in _MEANS.items():
        paragraphs: list[Block] = []
        for batch, title in zip(batches, titles(batches), strict=True):
            if _standard(batch) is not standard or not batch.findings:
                continue
            paragraphs += [Paragraph((f"{title}:",))] if several else []
            paragraphs.append(Bullets(batch.findings))
        if paragraphs:
            blocks += [Subheading(means), *paragraphs]
    if not blocks:
        blocks = [Paragraph(("There are no measurements of gains.",))]
    return Section("Results", blocks)


def _standard(batch: Batch) -> Standard:
    return batch.origins[0].standard


def _measured(batches: Sequence[Batch]) -> Section:
    """The machines, dates and commands of all measurements."""
    names = dict.fromkeys(
        name
        for batch in batches
        for origin in batch.origins
        for name, _ in origin.machine
    )
    columns = (
        *(Column(title, False) for title in ("records", "figures", *names)),
        *(Column(title, False) for title in ("date", "command")),
    )
    lines: list[tuple[Inline, ...]] = []
    for batch, title in zip(batches, titles(batches), strict=True):
        for origin in batch.origins:
            values = dict(origin.machine)
            lines.append(
                (
                    title,
                    origin.standard.value,
                    *(values.get(name, "-") for name in names),
                    origin.date or "-",
                    Code(origin.command),
                )
            )
    table = Table("What was measured on what", columns, tuple(lines))
    return Section("What was measured on what", (table,))


def _attached(batches: Sequence[Batch]) -> list[Attached]:
    """The files, with unique names."""
    names = Counter(batch.path.name for batch in batches)
    return [
        Attached(
            batch.path.name
            if names[batch.path.name] == 1
            else f"{n}-{batch.path.name}",
            batch.text,
        )
        for n, batch in enumerate(batches, 1)
    ]
