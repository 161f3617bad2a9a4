# SPDX-License-Identifier: GPL-2.0-only
"""``ub lab run``: a command in a fresh guest."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace

from ubypass.cli.lab.machine_options import add_machine_options, machine_options
from ubypass.cli.options import LAB_COMMAND, seconds
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb
from ubypass.lab.options import LabOptions
from ubypass.lab.run import run as run_in_guest

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Runs COMMAND as root in a fresh guest, in this directory. The guest sees the "
        "files of this system, and can write to the project and this directory only. "
        "Returns the status of COMMAND, or 70 if the kernel log has warnings."
    )
    add_machine_options(parser)
    parser.add_argument(
        "--timeout",
        type=seconds(0.1, 1e7),
        default=LabOptions.timeout,
        metavar="S",
        help="end the command after S seconds of real time (default: %(default)g)",
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --")


def run(args: argparse.Namespace) -> int:
    """Boot and run; the command's status. Raises UbError."""
    options = machine_options(args)
    options = replace(options, environment={LAB_COMMAND: _words(args.command)})
    with progress("lab") as report:
        stdin = None if sys.stdin is None or sys.stdin.isatty() else 0
        result = run_in_guest(args.command, options, report=report, stdin=stdin)
    for line in result.log_problems:
        print(f"kernel: {line}", file=sys.stderr)
    return result.exit_status


def _words(command: list[str]) -> str:
    """The command line before ``command``, as a user types it."""
    words = sys.argv[1:]
    if "--" in words:
        words = words[: words.index("--")]
    elif words[-len(command) :] == command:
        words = words[: -len(command)]
    else:
        words = ["lab", "run"]  # called by another program
    return shlex.join(["ub", *words])


VERB = Verb("run", "run a command in a fresh guest", configure, run)
