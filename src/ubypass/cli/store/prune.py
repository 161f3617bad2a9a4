# SPDX-License-Identifier: GPL-2.0-only
"""``ub store prune``: remove what is old from a store in a directory."""

from __future__ import annotations

import argparse

from ubypass.cli.service.config_option import add_config_option
from ubypass.cli.verbs import Verb
from ubypass.errors import UsageError

__all__ = ["VERB", "configure", "run"]

_DAY = 86400.0  # seconds


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--days",
        type=float,
        default=30.0,
        metavar="N",
        help="remove what was published more than N days ago (default: 30)",
    )
    add_config_option(parser)


def run(args: argparse.Namespace) -> int:
    """Remove old files; 0. Raises UbError."""
    from ubypass.cli.store.opened import configured
    from ubypass.store.directory import Directory
    from ubypass.store.opening import open_backend

    if not args.days >= 0:
        raise UsageError("--days takes a number from 0 on")
    store = configured(args.config)
    backend = open_backend(store.place, store.region)
    if not isinstance(backend, Directory):
        raise UsageError(
            f"{store.place} is not a directory",
            "let the service there remove old objects: S3 calls that a life cycle",
        )
    number, size = backend.prune(args.days * _DAY)
    print(f"removed {number} files, {size / 1024:.0f} KiB")
    return 0


VERB = Verb("prune", "remove what is old from a store in a directory", configure, run)
