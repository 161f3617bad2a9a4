# SPDX-License-Identifier: GPL-2.0-only
"""Options and the command line that several measurements share. Not a verb."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from ubypass.cli.options import LAB_COMMAND, whole

__all__ = ["add_quick", "add_runs", "add_size", "command_line"]


def add_quick(parser: argparse._ActionsContainer, what: str) -> None:
    """Declare ``--quick``, a shorter measurement; ``what`` is measured then."""
    parser.add_argument("--quick", action="store_true", help=f"measure less: {what}")


def add_runs(parser: argparse._ActionsContainer) -> None:
    """Declare ``--runs N``: how often each case is measured in each mode."""
    parser.add_argument(
        "--runs",
        type=whole(1),
        # A text, because an exclusive group takes an equal number for no option.
        default="5",
        metavar="N",
        help="runs of each case in each mode (default: %(default)s)",
    )


def add_size(
    parser: argparse.ArgumentParser, what: str, most: int | None = None
) -> None:
    """Declare ``--size N``, from 1 to ``most``; ``what`` has this size."""
    parser.add_argument(
        "--size",
        action="append",
        type=whole(1, most),
        default=[],
        metavar="N",
        help=f"{what}; may be repeated",
    )


def command_line() -> str:
    """The command that is running, as a user types it: with ``ub lab run`` there."""
    here = shlex.join(["ub", *sys.argv[1:]])
    lab = os.environ.get(LAB_COMMAND)
    return f"{lab} -- {here}" if lab else here
