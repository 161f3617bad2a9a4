# SPDX-License-Identifier: GPL-2.0-only
"""``ub lab``: commands and shells in a virtual machine on a stock kernel."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ubypass.cli.options import seconds, whole
from ubypass.cli.progress import progress
from ubypass.errors import UsageError
from ubypass.lab import kernels
from ubypass.lab.options import LabOptions
from ubypass.lab.run import run as run_in_guest
from ubypass.lab.run import shell

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "lab"
HELP = "run a command or a shell in a virtual machine on a stock kernel"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own verbs and their options."""
    verbs = parser.add_subparsers(dest="lab_verb", required=True, metavar="VERB")
    runs = verbs.add_parser(
        "run",
        help="run a command in a fresh guest",
        description="Run COMMAND as root in a fresh guest that sees this system's "
        "files, in this directory. Only the project and this directory can be "
        "written to. Returns COMMAND's status, or 70 if the kernel complained.",
    )
    _machine_options(runs)
    runs.add_argument(
        "--timeout",
        type=seconds(0.1, 1e7),
        default=LabOptions.timeout,
        metavar="S",
        help="end the command after S seconds of real time (default: %(default)g)",
    )
    runs.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    shells = verbs.add_parser("shell", help="open a root shell in a fresh guest")
    _machine_options(shells)
    verbs.add_parser("kernels", help="list the kernels in the cache")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit status."""
    if args.lab_verb == "kernels":
        return _list_kernels()
    options = _options(args)
    with progress("lab") as report:
        if args.lab_verb == "shell":
            return shell(options, report=report)
        stdin = None if sys.stdin is None or sys.stdin.isatty() else 0
        result = run_in_guest(args.command, options, report=report, stdin=stdin)
    for line in result.log_problems:
        print(f"kernel: {line}", file=sys.stderr)
    return result.exit_status


def _machine_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--kernel", metavar="RELEASE", help="such as 6.1.0-56-amd64 (default: newest)")
    add(
        "--suite",
        metavar="SUITE",
        help="the newest kernel of trixie, trixie-backports, sid, ...; with --kernel: "
        "where it is fetched from",
    )
    add("--icount", action="store_true", help="count instructions: 1 = 1 virtual ns")
    most = 8 * (os.cpu_count() or 1)
    add("--cpus", type=whole(1, most), metavar="N", help="default: 2, with --icount 1")
    add(
        "--memory",
        default=LabOptions.memory,
        metavar="SIZE",
        help="default: %(default)s",
    )
    add(
        "--append",
        action="append",
        default=[],
        metavar="ARG",
        help="a further kernel parameter; may be repeated",
    )
    add("--disk", metavar="FILE|SIZE", help="/dev/vda: a file, or empty of this size")
    add(
        "--share",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a further directory the guest may write to; may be repeated",
    )
    add(
        "--boot-timeout",
        type=seconds(0.1, 1e7),
        default=LabOptions.boot_timeout,
        metavar="S",
        help="default: %(default)g",
    )
    add("--no-log-check", action="store_true", help="ignore the kernel's complaints")


def _options(args: argparse.Namespace) -> LabOptions:
    for directory in args.share:
        if not directory.is_dir():
            raise UsageError(f"cannot share '{directory}': not a directory")
    return LabOptions(
        kernel=args.kernel,
        suite=args.suite,
        icount=args.icount,
        cpus=args.cpus,
        memory=args.memory,
        append=tuple(args.append),
        disk=args.disk,
        timeout=getattr(args, "timeout", LabOptions.timeout),
        boot_timeout=args.boot_timeout,
        log_check=not args.no_log_check,
        share=tuple(args.share),
    )


def _list_kernels() -> int:
    for release in kernels.cached_releases():
        print(release)
    return 0
