# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench show``: print earlier measurements."""

from __future__ import annotations

import argparse
from pathlib import Path

from ubypass.cli.bench import io, rivals
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a file with records")


def run(args: argparse.Namespace) -> int:
    """Print the records; the exit status of their measurement. Raises UbError."""
    from ubypass.bench import records
    from ubypass.bench.uring.record import read_rows

    data = records.read_json(args.file)
    if data and isinstance(data[0], dict) and "way" in data[0]:
        return rivals.show(read_rows(args.file))
    return io.show(records.read_records(args.file))


VERB = Verb("show", "print records written with --json", configure, run)
