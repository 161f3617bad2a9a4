# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench functions``: library functions, native and translated."""

from __future__ import annotations

import argparse

from ubypass.cli.options import TRANSLATE_TRUSTED, add_json_file, add_trust
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Times string functions, parsers, hashes and others in one process, "
        "alternating native and translated calls. Needs neither root nor the module "
        "nor the lab."
    )
    add_trust(parser, TRANSLATE_TRUSTED)
    add_json_file(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and show; 1 if a translation computed another result."""
    from ubypass.bench import functions
    from ubypass.bench.timings import show

    with progress("bench") as report:
        timings = list(functions.measure(report, trusted=args.trust))
    if args.json is not None:
        functions.write(args.json, timings)
    show(timings)
    return 0 if all(timing.same for timing in timings) else 1


VERB = Verb(
    "functions", "time library functions, native and translated", configure, run
)
