# SPDX-License-Identifier: GPL-2.0-only
"""Records from the files of a command line, for the verbs that describe them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.bench.documents.read import Found

__all__ = ["add_places", "read_places"]

_MEASURE = "measure something: ub bench io --json FILE, ub bench chains --json FILE"


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``places``: files and directories."""
    parser.add_argument(
        "places",
        type=Path,
        nargs="+",
        metavar="DIR|FILE",
        help="files with records, and directories of *.json files",
    )


def read_places(args: argparse.Namespace) -> Found:
    """Read ``args.places``; each file that is skipped is a line on standard error.

    Raises UbError if no records are left.
    """
    from ubypass.bench.documents.read import read_all

    found = read_all(args.places)
    for error in found.errors:
        hint = f"; {error.hint}" if error.hint else ""
        print(f"ub: {error.message}{hint}", file=sys.stderr)
    if not found.batches:
        raise UbError("there are no records to report", _MEASURE)
    return found
