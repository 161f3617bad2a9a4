# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench results``: a Markdown document about records."""

from __future__ import annotations

import argparse

from ubypass.cli.bench.records import add_places, read_places
from ubypass.cli.options import out_file
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Writes the tables and sentences of records that the other verbs wrote with "
        "--json to a Markdown document, in the order given. Files without records are "
        "reported and skipped; the exit status is 1 if one of them was given by name."
    )
    parser.add_argument(
        "out", type=out_file, metavar="DOCUMENT", help="the file to write"
    )
    add_places(parser)


def run(args: argparse.Namespace) -> int:
    """Write the document; 1 if a named file was skipped. Raises UbError without
    records.
    """
    from ubypass.bench.results import results
    from ubypass.files import write_text

    found = read_places(args)
    write_text(args.out, results(found.batches, found.errors))
    return 1 if found.named else 0


VERB = Verb("results", "write a Markdown document of records", configure, run)
