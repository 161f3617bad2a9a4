# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench report``: all measurements on one page, in one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ubypass.cli.bench.records import add_places, read_places
from ubypass.cli.options import out_file
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.description = (
        "Writes the records that the other verbs wrote with --json to one HTML file: "
        "machines, findings, plots, tables, and the records themselves. The page needs "
        "no network and no script. Files without records are reported and skipped; the "
        "exit status is 1 if one of them was given by name. Needs matplotlib, but "
        "neither root nor the module nor the lab."
    )
    add_places(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=out_file,
        default=Path("report.html"),
        metavar="FILE",
        help="write the page to FILE (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the page. Raises UbError without matplotlib, or without records."""
    from ubypass.bench.documents.report import report
    from ubypass.files import write_text
    from ubypass.page.svg import require

    require()
    found = read_places(args)
    write_text(args.output, report(found.batches, found.errors))
    return 1 if found.named else 0


VERB = Verb("report", "write an HTML page with plots of all records", configure, run)
