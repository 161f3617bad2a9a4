# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench results``: a Markdown document about records."""

from __future__ import annotations

import argparse
from pathlib import Path

from ubypass.cli.options import out_file
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "out", type=out_file, metavar="DOCUMENT", help="the file to write"
    )
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="files with records"
    )


def run(args: argparse.Namespace) -> int:
    """Write the document; 0."""
    from ubypass.bench.results import write_results

    write_results(args.files, args.out)
    return 0


VERB = Verb("results", "write a Markdown document of records", configure, run)
