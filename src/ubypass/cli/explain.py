# SPDX-License-Identifier: GPL-2.0-only
"""``ub explain``: what a process runs in the kernel, and why it does or does not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from ubypass.errors import UbError

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "explain"
HELP = "show what is boosted and why, regions beside their translations"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "id",
        metavar="PROCESS|REGION",
        help="PID, name, program's path, UNIT.service or cgroup:PATH; or the number of "
        "a region",
    )
    parser.add_argument("--exits", action="store_true", help="only the exits")
    parser.add_argument("--sites", action="store_true", help="only the sites")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Ask the engines for it and print it."""
    from ubypass.cli.named import one_process
    from ubypass.engine.control import ask_all
    from ubypass.process.namespace import numbers_of

    wanted = one_process(args.id)
    answers, silent = ask_all(
        {"ask": "explain", "id": wanted, "numbers": numbers_of(wanted)}
    )
    if not answers:
        if silent:
            raise silent[0]
        raise UbError("nothing is being boosted", "start with: ub run -- COMMAND")
    answer = answers[0]
    if args.json:
        print(json.dumps(answer, indent=1))
        return 0
    if "regions" in answer:
        _print_sites(answer)
        regions = [] if args.sites else answer["regions"]
    else:
        regions = [answer]
    for region in regions:
        print()
        _print(region, exits_only=args.exits)
    return 0


def _print_sites(process: Mapping[str, Any]) -> None:
    """One line for each site, with the figures behind the decision."""
    from ubypass.cli.listing import print_sites

    print(f"process {process['pid']} ({process['name']}):")
    if process["reason"]:
        print(f"not boosted: {process['reason']}\n  {process['hint']}\n")
    if process["filtered"]:
        print(
            f"{process['filtered']:,} calls were made natively:\n"
            "  a seccomp filter objects, or is to act\n"
        )
    if process["sites"]:
        print(
            "times in ns, native and boosted for a gap, gain for a run" + _by(process)
        )
        print_sites(process["sites"])
    else:
        print("no system call of it has been looked at yet")


def _by(process: Mapping[str, Any]) -> str:
    """What the gain is computed by, if not by the times beside it."""
    model = process["priced_by"]
    return (
        "" if model == "clock" else f"\ngain by the model {model}, the others by clock"
    )


def _print(region: Mapping[str, Any], *, exits_only: bool) -> None:
    from ubypass.cli.listing import print_exits, print_lines, print_nonpointers

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
    if region["nonpointers"]:
        print()
        print_nonpointers(region["nonpointers"])
    if not exits_only:
        print()
        print_lines(region["lines"])
