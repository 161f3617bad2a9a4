# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench replay``: repeat the builds of an engine."""

from __future__ import annotations

import argparse
from pathlib import Path

from ubypass.cli.options import add_json_file
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Repeats the builds recorded by 'ub attach --record' or 'ub bench server "
        "--builds', each file in a new engine. Needs neither root nor the module nor "
        "the lab."
    )
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="recorded builds"
    )
    add_json_file(parser)


def run(args: argparse.Namespace) -> int:
    """Build and show; 0."""
    from ubypass.bench import replay

    found = []
    with progress("bench") as report:
        for file in args.files:
            report(f"repeating the builds in {file.name}")
            found.append(replay.replay_afresh(file))
    if args.json is not None:
        replay.write_replayed(args.json, found)
    for each in found:
        print(
            f"{each.name}: {each.builds} builds of {each.instructions:,} instructions "
            f"in {each.seconds:.2f} s, the longest {each.longest:.2f} s"
        )
    return 0


VERB = Verb("replay", "time the recorded builds of an engine", configure, run)
