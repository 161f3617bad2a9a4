# SPDX-License-Identifier: GPL-2.0-only
"""Prints translations: user instructions on the left, what runs on the right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ubypass.cli.tables import console

__all__ = ["print_exits", "print_lines", "print_nonpointers", "print_sites"]


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
        address = "" if row["address"] is None else f"{row['address']:x}"
        offset = "" if row["offset"] < 0 else f"{row['offset']:x}"
        line = Text(f"{address:>12}  {row['user']:<28}")
        line.append(f" {offset:>5}  {row['code']}", "cyan")
        if row["note"]:
            line.append(f"  ; {row['note']}", "dim")
        line.rstrip()
        out.print(line)


def print_exits(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of exits, in the order given."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("EXITS", justify="right")
    table.add_column("REASON")
    table.add_column("AT", overflow="fold")
    for row in rows:
        table.add_row(f"{row['count']:,}", row["reason"], escape(row["symbol"]))
    console().print(table)


def print_nonpointers(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of registers that hold no address, and of instructions."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("NO ADDRESS IN")
    table.add_column("AT", overflow="fold")
    for row in rows:
        table.add_row(" ".join(row["registers"]), escape(row["symbol"]))
    console().print(table)


def print_sites(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of sites: what they cost, and what is decided."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("SITE", overflow="fold", max_width=22)
    for title in ("CALL", "NATIVE", "BOOSTED", "CALLS/RUN", "GAIN"):
        table.add_column(title, justify="right")
    table.add_column("DECISION", overflow="fold")
    for row in rows:
        table.add_row(
            escape(row["symbol"] or f"{row['address']:x}"),
            str(row["nr"]),
            _figure(row["native_ns"]),
            _figure(row["boosted_ns"]),
            _figure(row["calls_per_run"], 1),
            _figure(row["saved_per_run_ns"]),
            escape(row["decision"]),
        )
    console().print(table)


def _figure(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
