# SPDX-License-Identifier: GPL-2.0-only
"""``ub service status``: the present state of the service."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ubypass.cli.options import add_json
from ubypass.cli.service.asking import ask
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print; 0. Raises UbError."""
    _print_status(ask("status"), as_json=args.json)
    return 0


def _print_status(answer: Any, *, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(answer, indent=1))
        return
    paused = answer["paused_by"]
    state = f"paused by the {paused}" if paused else "running"
    rows = [
        ("service", f"{state}, process {answer['pid']}, since {answer['since']}"),
        ("configuration", f"{answer['config']}, since {answer['config_since']}"),
        ("processes", f"{answer['processes']} attached, {answer['boosted']} boosted"),
        (
            "cost",
            f"{answer['cpu_seconds']:.1f} s of CPU time, "
            f"{answer['memory_bytes'] >> 20} MiB",
        ),
    ]
    if answer["config_error"]:
        rows.insert(2, ("refused", answer["config_error"]))
    if answer["waiting"]:
        rows.append(("waiting", f"{answer['waiting']} more match; a limit is reached"))
    if answer.get("store"):
        rows.append(("store", _store(answer["store"])))
    for name, value in rows:
        print(f"{name:<13}  {value}")
    if answer["rules"]:
        _print_rules(answer["rules"])


def _store(figures: Mapping[str, int]) -> str:
    """The line on the store."""
    line = (
        f"{figures['hits']} translations from it, {figures['misses']} it had not, "
        f"{figures['refused']} refused, {figures['published']} published"
    )
    troubles = figures["failures"] + figures["skipped"]
    return f"{line}; {troubles} requests failed or not made" if troubles else line


def _print_rules(rules: Any) -> None:
    from rich.markup import escape

    from ubypass.cli.tables import console, plain_table

    table = plain_table()
    table.add_column("RULE")
    for title in ("ATTACHED", "BOOSTED", "NATIVE", "CALLS", "BYPASS", "SAVED"):
        table.add_column(title, justify="right")
    for rule in rules:
        table.add_row(
            escape(rule["name"]),
            str(rule["processes"]),
            str(rule["boosted"]),
            str(sum(rule["declined"].values())),
            f"{rule['calls']:,}",
            f"{rule['bypass_rate']:.1%}",
            f"{rule['saved_seconds']:.1f} s",
        )
    print()
    console().print(table)


VERB = Verb("status", "show the present state of the service", configure, run)
