# SPDX-License-Identifier: GPL-2.0-only
"""Prints translations: user instructions on the left, generated code on the right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ubypass.cli.tables import console, plain_table

__all__ = [
    "SITE_TITLES",
    "line_cells",
    "print_exits",
    "print_lines",
    "print_nonpointers",
    "print_sites",
    "site_cells",
]

#: Headings of :func:`site_cells`; all columns but the first and the last are figures.
SITE_TITLES = ("SITE", "CALL", "NATIVE", "BOOSTED", "CALLS/RUN", "GAIN", "DECISION")


def print_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows with address, symbol, user, offset, code and note.

    A heading names the function whenever it changes.
    """
    from rich.console import Console
    from rich.text import Text

    out = Console(highlight=False, soft_wrap=True)
    function = ""
    for row in rows:
        heading = str(row["symbol"]).partition("+")[0]
        if heading and heading != function:
            function = heading
            out.print(Text(heading, "bold"))
        user, code, note = line_cells(row)
        line = Text(user)
        line.append(code, "cyan")
        line.append(note, "dim")
        line.rstrip()
        out.print(line)


def line_cells(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """The cells of a row of a listing: user code, translation, note."""
    address = "" if row["address"] is None else f"{row['address']:x}"
    offset = "" if row["offset"] < 0 else f"{row['offset']:x}"
    return (
        f"{address:>12}  {row['user']:<28}",
        f" {offset:>5}  {row['code']}",
        f"  ; {row['note']}" if row["note"] else "",
    )


def print_exits(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of exits, in the order given."""
    from rich.markup import escape

    table = plain_table()
    table.add_column("EXITS", justify="right")
    table.add_column("REASON")
    table.add_column("AT", overflow="fold")
    for row in rows:
        table.add_row(f"{row['count']:,}", row["reason"], escape(row["symbol"]))
    console().print(table)


def print_nonpointers(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of registers that hold no address, and of the instructions."""
    from rich.markup import escape

    table = plain_table()
    table.add_column("NO ADDRESS IN")
    table.add_column("AT", overflow="fold")
    for row in rows:
        table.add_row(" ".join(row["registers"]), escape(row["symbol"]))
    console().print(table)


def print_sites(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of sites: their costs, and the decisions."""
    from rich.markup import escape

    table = plain_table()
    site, *figures, decision = SITE_TITLES
    table.add_column(site, overflow="fold", max_width=22)
    for title in figures:
        table.add_column(title, justify="right")
    table.add_column(decision, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, site_cells(row)))
    console().print(table)


def site_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of a site, in the order of :data:`SITE_TITLES`."""
    return (
        row["symbol"] or f"{row['address']:x}",
        row["call"],
        _figure(row["native_ns"]),
        _figure(row["boosted_ns"]),
        _figure(row["calls_per_run"], 1),
        _figure(row["saved_per_run_ns"]),
        row["decision"],
    )


def _figure(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
