# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench translate``: the cost of translating."""

from __future__ import annotations

import argparse

from ubypass.cli.options import add_json_file, whole
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Builds regions of programs of this machine, through all stages, and measures "
        "the time for each user instruction, peak memory, and memory over many builds. "
        "Needs neither root nor the module nor the lab."
    )
    add_json_file(parser)
    parser.add_argument(
        "--builds",
        type=whole(),
        default=10_000,
        metavar="N",
        help="builds over which memory is watched (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and show; 0."""
    from ubypass.bench import costs, translation

    with progress("bench") as report:
        found = translation.measure(report, args.builds)
    if args.json is not None:
        translation.write(args.json, found)
    costs.show(found)
    return 0


VERB = Verb("translate", "time and memory of the translator", configure, run)
