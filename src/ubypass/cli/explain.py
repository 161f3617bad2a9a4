# SPDX-License-Identifier: GPL-2.0-only
"""``ub explain``: what a boosted process runs in the kernel, and why it leaves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from ubypass.cli.options import number
from ubypass.errors import UbError

NAME = "explain"
HELP = "show a region beside its translation, and which exits it takes"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("id", metavar="PID|REGION", help="a process or a region")
    parser.add_argument("--exits", action="store_true", help="only the exits")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Ask the engines for it and print it."""
    from ubypass.engine.control import ask_all

    wanted = number(args.id)
    answers = ask_all({"ask": "explain", "id": wanted})
    if not answers:
        raise UbError("nothing is being boosted", "start with: ub run -- COMMAND")
    region = answers[0]
    if args.json:
        print(json.dumps(region, indent=1))
    else:
        _print(region, exits_only=args.exits)
    return 0


def _print(region: Mapping[str, Any], *, exits_only: bool) -> None:
    from ubypass.cli.listing import print_exits, print_lines

    print(
        f"region {region['region']} of process {region['pid']} ({region['name']}): "
        f"{region['instructions']:,} instructions,\n"
        f"{region['source_bytes']:,} bytes -> {region['code_bytes']:,} bytes; "
        f"{region['dispatched']:,} calls dispatched in {region['runs']:,} runs"
    )
    print()
    if region["exits"]:
        print_exits(region["exits"])
    else:
        print("No exit has been taken.")
    if not exits_only:
        print()
        print_lines(region["lines"])
