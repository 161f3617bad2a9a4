# SPDX-License-Identifier: GPL-2.0-only
"""Description of repeated builds (``ub bench replay``)."""

from __future__ import annotations

from collections.abc import Sequence

from ubypass.bench.documents.kind import Kind, Origin
from ubypass.bench.replay import Replayed, read_replayed
from ubypass.page.content import (
    Block,
    Bullets,
    Code,
    Column,
    Paragraph,
    Section,
    Standard,
    Table,
    Words,
)

__all__ = ["REPLAYED"]

_COMMAND = "ub bench replay"
_MOST = 1.0  # seconds
_COLUMNS = ("builds", "in vain", "instructions", "seconds", "longest")


def _findings(replayed: Sequence[Replayed]) -> list[Words]:
    longest = max(replayed, key=lambda each: each.seconds)
    return [
        (
            f"Translating for a server takes at most {longest.seconds:.2f} s of CPU "
            f"time, for {longest.instructions:,} instructions ({longest.name}).",
        )
    ]


def _section(replayed: Sequence[Replayed]) -> Section:
    blocks: list[Block] = [
        Paragraph(
            (
                Code(_COMMAND),
                ": the builds of the engine in the lab since the start of the load, "
                f"repeated on {replayed[0].cpu}; CPU time.",
            )
        ),
        Table(
            "Translating for servers",
            (Column("server", False), *map(Column, _COLUMNS)),
            tuple(
                (
                    each.name,
                    f"{each.builds}",
                    f"{each.nothing}",
                    f"{each.instructions:,}",
                    f"{each.seconds:.2f}",
                    f"{each.longest:.2f}",
                )
                for each in replayed
            ),
        ),
    ]
    missed = [each for each in replayed if each.seconds > _MOST]
    if missed:
        lines = tuple((f"{each.name}: {each.seconds:.2f} s",) for each in missed)
        blocks.append(Paragraph((f"More than the goal of {_MOST:g} s:",)))
        blocks.append(Bullets(lines))
    return Section("Translating for servers", blocks, Standard.TIMED.value)


def _origins(replayed: Sequence[Replayed]) -> list[Origin]:
    processors = dict.fromkeys(each.cpu for each in replayed)
    return [
        Origin(_COMMAND, Standard.TIMED, (("processor", cpu),)) for cpu in processors
    ]


REPLAYED = Kind(
    command=_COMMAND,
    keys=frozenset({"replayed", "builds"}),
    read=read_replayed,
    findings=_findings,
    section=_section,
    origins=_origins,
)
