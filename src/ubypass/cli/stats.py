# SPDX-License-Identifier: GPL-2.0-only
"""``ub stats``: what running engines have done for their processes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from ubypass.errors import UbError

NAME = "stats"
HELP = "show the processes that are being boosted and what it brings"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("pid", nargs="?", metavar="PID", help="only this process")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Ask every engine; 0, or an error if the named process is not boosted."""
    from ubypass.cli.options import number
    from ubypass.engine.control import ask_all

    pid = None if args.pid is None else number(args.pid)
    processes = [
        {**process, "engine_pid": answer["engine_pid"]}
        for answer in ask_all({"ask": "stats"})
        for process in answer["processes"]
        if pid is None or process["pid"] == pid
    ]
    if pid is not None and not processes:
        raise UbError(f"process {pid} is not being boosted", f"ub attach {pid}")
    if args.json:
        import json

        print(json.dumps({"processes": processes}, indent=1))
    elif not processes:
        print("nothing is being boosted; start with: ub run -- COMMAND")
    elif pid is None:
        _print_all(processes)
    else:
        _print_one(processes[0])
    return 0


def _print_all(processes: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("PID", justify="right")
    table.add_column("PROGRAM")
    for title in ("CALLS", "DISPATCHED", "BYPASS", "EXITS", "REGION"):
        table.add_column(title, justify="right")
    for process in processes:
        table.add_row(
            str(process["pid"]),
            escape(process["name"]),
            f"{process['calls']:,}",
            f"{process['dispatched']:,}",
            f"{process['bypass_rate']:.1%}",
            f"{sum(process['exits'].values()):,}",
            f"{process['code_bytes']:,} B" if process["region"] else "none",
        )
    Console(highlight=False).print(table)


def _print_one(process: Mapping[str, Any]) -> None:
    first = process["first_boost_seconds"]
    exits = sorted(process["exits"].items(), key=lambda item: -item[1])
    rows = [
        ("process", f"{process['pid']} ({process['name']})"),
        ("system calls", f"{process['calls']:,}"),
        ("dispatched", f"{process['dispatched']:,} ({process['bypass_rate']:.2%})"),
        ("runs", f"{process['runs']:,} ({process['declined']:,} declined)"),
        ("region", f"number {process['region']}" if process["region"] else "none"),
        ("entries", f"{process['entries']}"),
        ("instructions", f"{process['region_instructions']:,}"),
        ("bytes", f"{process['source_bytes']:,} -> {process['code_bytes']:,}"),
        ("loads", f"{process['loads']} ({process['build_seconds']:.2f} s)"),
        ("first boost", "never" if first is None else f"after {first:.2f} s"),
        *((f"exits: {name}", f"{count:,}") for name, count in exits),
        *(("note", note) for note in process["notes"]),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
