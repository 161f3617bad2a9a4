# SPDX-License-Identifier: GPL-2.0-only
"""HTML pages about boosted processes, from the data of ``--json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ubypass.page.content import Block, Plot, Section, Standard

__all__ = ["ready", "write_explanation", "write_stats"]

#: Most rows in one plot; tables have all rows.
_MOST = 20

_LEAD = (
    "The state when this page was written. Calls and exits are counted by the kernel "
    "module; times are measured by its clock."
)


def ready() -> None:
    """Raise UbError if no pages can be generated here."""
    from ubypass.page.svg import require

    require()


def write_stats(file: Path, data: Mapping[str, Any]) -> None:
    """Write a page of what ``ub stats --json`` prints: ``data``. Raises UbError."""
    from ubypass.cli.process_figures import NOTHING
    from ubypass.page.content import Paragraph, Section

    processes = data["processes"]
    sections = [
        _machine(),
        *([_together(processes)] if processes else []),
        *map(_process, processes),
    ]
    if not processes:
        sections.append(Section("Processes", (Paragraph((NOTHING,)),)))
    _write(file, "Boosted processes", sections, "stats.json", data)


def write_explanation(file: Path, answer: Mapping[str, Any]) -> None:
    """Write a page of what ``ub explain --json`` prints. Raises UbError."""
    is_process = "regions" in answer
    regions = answer["regions"] if is_process else [answer]
    sections = [
        _machine(),
        *([_sites(answer)] if is_process else []),
        *map(_region, regions),
    ]
    title = f"Process {answer['pid']} ({answer['name']})"
    _write(file, title, sections, "explain.json", answer)


def _write(
    file: Path, title: str, sections: Sequence[Section], name: str, data: Any
) -> None:
    from ubypass.files import write_text
    from ubypass.page.document import Attached, document

    attached = [Attached(name, json.dumps(data, indent=1) + "\n")]
    write_text(file, document(title, _LEAD, sections, attached))


def _machine() -> Section:
    import platform

    from ubypass import processor
    from ubypass.page.content import Section

    return Section(
        "Machine",
        (
            _pairs(
                "Machine",
                [
                    ("kernel", f"{platform.system()} {platform.release()}"),
                    ("processor", processor.describe()),
                ],
            ),
        ),
    )


def _pairs(title: str, rows: Sequence[tuple[str, str]]) -> Block:
    from ubypass.page.content import Column, Table

    columns = (Column("what", False), Column("value", False))
    return Table(title, columns, tuple(rows))


def _label(process: Mapping[str, Any]) -> str:
    return f"{process['pid']} {process['name']}"


def _together(processes: Sequence[Mapping[str, Any]]) -> Section:
    """For all processes: calls dispatched, and exits by reason."""
    from ubypass.page.content import Plot, Section, Standard
    from ubypass.page.shares import Whole

    busiest = sorted(processes, key=lambda process: -process["calls"])[:_MOST]
    calls = [
        Whole(
            _label(process),
            f"{process['calls']:,} calls, {process['bypass_rate']:.1%}",
            {
                "dispatched": process["dispatched"],
                "native": process["calls"] - process["dispatched"],
            },
        )
        for process in busiest
        if process["calls"]
    ]
    exits = [
        Whole(_label(process), f"{sum(process['exits'].values()):,}", process["exits"])
        for process in busiest
        if sum(process["exits"].values())
    ]
    plots: list[Plot] = []
    for wholes, axis, caption in (
        (calls, "% of calls", "Dispatched and native system calls."),
        (exits, "% of exits", "Exits by reason; their number on the right."),
    ):
        if wholes:
            plots.append(
                Plot(
                    partial(_shares, caption, wholes, axis),
                    (caption,),
                    Standard.COUNTED,
                    "ub stats",
                )
            )
    return Section("Calls and exits", plots)


def _shares(caption: str, wholes: Sequence[Any], axis: str, key: str) -> str:
    from ubypass.page.shares import shares

    return shares(key, caption, wholes, axis)


def _process(process: Mapping[str, Any]) -> Section:
    from ubypass.cli.process_figures import process_rows
    from ubypass.engine.declines import HINTS, REASONS, named
    from ubypass.page.content import Section

    label = _label(process)
    blocks: list[Block] = []
    if process["declined_for"]:
        reason = named(process["declined_for"])
        blocks.append(_not_boosted(REASONS[reason], HINTS[reason]))
    return Section(label, (*blocks, _pairs(label, process_rows(process))))


def _not_boosted(reason: str, hint: str) -> Block:
    from ubypass.page.content import Paragraph, Strong

    return Paragraph((Strong("Not boosted"), f": {reason}. {hint}"))


def _sites(process: Mapping[str, Any]) -> Section:
    """The decisions, with the figures behind them."""
    from ubypass.cli.listing import SITE_TITLES, site_cells
    from ubypass.cli.process_figures import TRUSTED
    from ubypass.page.content import Column, Paragraph, Section, Strong, Table

    model = process["priced_by"]
    by = "measured" if model == "clock" else f"from the model {model}"
    blocks: list[Block] = []
    if process["reason"]:
        blocks.append(_not_boosted(process["reason"], process["hint"]))
    if process.get("trusted"):
        blocks.append(Paragraph((Strong("Trusted"), f": {TRUSTED}.")))
    if process["filtered"]:
        blocks.append(
            Paragraph(
                (
                    f"{process['filtered']:,} calls were made natively: a seccomp "
                    "filter did not simply allow them.",
                )
            )
        )
    if not process["sites"]:
        blocks.append(Paragraph(("None of its system calls has been examined yet.",)))
        return Section("System calls", blocks)
    site, *figures, decision = (title.lower() for title in SITE_TITLES)
    blocks += [
        Paragraph((f"Times in ns: native and boosted per gap; gain per run, {by}.",)),
        *_times(process["sites"]),
        Table(
            "System calls",
            (Column(site, False), *map(Column, figures), Column(decision, False)),
            tuple(map(site_cells, process["sites"])),
        ),
    ]
    return Section("System calls", blocks)


def _times(sites: Sequence[Mapping[str, Any]]) -> list[Plot]:
    from ubypass.page.content import Plot

    known = [
        site
        for site in sites
        if site["native_ns"] is not None and site["boosted_ns"] is not None
    ]
    if not known:
        return []
    # The sites with the greatest gains and losses first.
    known.sort(key=lambda site: -abs(site["saved_per_run_ns"] or 0.0))
    caption = "ns per gap by the module's clock, native and boosted."
    drawn = partial(_gap_times, caption, known[:_MOST])
    return [Plot(drawn, (caption,), _clock(), "ub explain")]


def _clock() -> Standard:
    from ubypass import processor
    from ubypass.page.content import Standard

    return Standard.EMULATED if processor.is_emulated() else Standard.TIMED


def _gap_times(caption: str, sites: Sequence[Mapping[str, Any]], key: str) -> str:
    from ubypass.page.charts import Dot, Range, Row, rows
    from ubypass.page.svg import Colour

    content = [
        Row(
            f"{site['call']} at {site['symbol'] or format(site['address'], 'x')}",
            f"{site['native_ns']:,.0f} → {site['boosted_ns']:,.0f}",
            (
                Range(site["native_ns"], site["boosted_ns"], Colour.RULE),
                Dot(site["native_ns"], Colour.C1, hollow=True),
                Dot(site["boosted_ns"], Colour.C2),
            ),
        )
        for site in sites
    ]
    legend = (("native", Dot, Colour.C1), ("boosted", Dot, Colour.C2))
    return rows(key, caption, content, "ns", legend, reference=0.0)


def _region(region: Mapping[str, Any]) -> Section:
    from ubypass.cli.listing import line_cells
    from ubypass.page.content import (
        Column,
        Folded,
        Listing,
        Paragraph,
        Plot,
        Section,
        Standard,
        Table,
    )
    from ubypass.page.shares import Whole

    name = f"Region {region['region']}"
    blocks: list[Block] = [
        Paragraph(
            (
                f"{region['instructions']:,} instructions, "
                f"{region['source_bytes']:,} bytes → {region['code_bytes']:,} bytes; "
                f"{region['dispatched']:,} calls dispatched in {region['runs']:,} "
                "runs.",
            )
        )
    ]
    counts: dict[str, float] = {}
    for leave in region["exits"]:
        counts[leave["reason"]] = counts.get(leave["reason"], 0) + leave["count"]
    if counts:
        caption = "Exits by reason."
        whole = Whole(name, f"{sum(counts.values()):,} exits", counts)
        drawn = partial(_shares, caption, [whole], "% of exits")
        blocks += [
            Plot(drawn, (caption,), Standard.COUNTED, "ub explain"),
            Table(
                f"Exits of {name}",
                (Column("exits"), Column("reason", False), Column("at", False)),
                tuple(
                    (f"{leave['count']:,}", leave["reason"], leave["symbol"])
                    for leave in region["exits"]
                ),
            ),
        ]
    else:
        blocks.append(Paragraph(("No exits yet.",)))
    if region["nonpointers"]:
        blocks.append(
            Table(
                f"Registers of {name} that hold no address",
                (Column("no address in", False), Column("at", False)),
                tuple(
                    (" ".join(row["registers"]), row["symbol"])
                    for row in region["nonpointers"]
                ),
            )
        )
    lines = "\n".join("".join(line_cells(row)).rstrip() for row in region["lines"])
    if lines:
        blocks.append(Folded("Instructions and their translation", (Listing(lines),)))
    return Section(name, blocks)
