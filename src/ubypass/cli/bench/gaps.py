# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench gaps``: the instructions between system calls, counted."""

from __future__ import annotations

import argparse

from ubypass.cli.options import add_json_file
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Single-steps natively through the loops of 'ub bench io', and through redis "
        "and nginx under load. Needs neither the module nor the lab."
    )
    add_json_file(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and show; 0."""
    from ubypass.bench.server import gaps

    with progress("bench") as report:
        found = list(gaps.measure_gaps(report))
    if args.json is not None:
        gaps.write_gaps(args.json, found)
    for gap in found:
        print(
            f"{gap.server} {gap.case}: {gap.call} -> {gap.following}: "
            f"{gap.median:,} ({gap.least:,} to {gap.most:,}), {gap.share:.1%}"
            + (f", translated x{gap.growth:.2f}" if gap.growth is not None else "")
        )
    return 0


VERB = Verb(
    "gaps",
    "count the instructions between system calls, native and translated",
    configure,
    run,
)
