# SPDX-License-Identifier: GPL-2.0-only
"""Options for the machine of ``ub lab run`` and ``ub lab shell``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ubypass.cli.options import add_kernel, add_suite, seconds, whole
from ubypass.errors import UsageError
from ubypass.lab.cpu import mitigations
from ubypass.lab.options import LabOptions

__all__ = ["add_machine_options", "machine_options"]


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the machine."""
    add = parser.add_argument
    add_kernel(parser, "the newest")
    add_suite(parser, "with --kernel: the suite to fetch it from")
    add("--icount", action="store_true", help="count instructions: 1 = 1 virtual ns")
    most = 8 * (os.cpu_count() or 1)
    add(
        "--cpus",
        type=whole(1, most),
        metavar="N",
        help="number of processors (default: 2, with --icount 1)",
    )
    add(
        "--cpu",
        metavar="MODEL",
        help="CPU model of QEMU, with feature changes: EPYC-Milan, max,-erms "
        "(default: max, with --icount max,-erms,-fsrm)",
    )
    add(
        "--pti",
        choices=("on", "off"),
        help="page-table isolation (default: the kernel's choice for this CPU)",
    )
    add(
        "--mitigations",
        metavar="TEXT",
        help="mitigations= of the kernel: off, auto or auto,nosmt (default: auto)",
    )
    add(
        "--memory",
        default=LabOptions.memory,
        metavar="SIZE",
        help="memory of the guest (default: %(default)s)",
    )
    add(
        "--append",
        action="append",
        default=[],
        metavar="ARG",
        help="a further kernel parameter; may be repeated",
    )
    add(
        "--disk",
        metavar="FILE|SIZE",
        help="attach /dev/vda: an image file, or an empty disk of this size",
    )
    add(
        "--share",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a further directory that the guest may write to; may be repeated",
    )
    add(
        "--boot-timeout",
        type=seconds(0.1, 1e7),
        default=LabOptions.boot_timeout,
        metavar="S",
        help="give up if the guest has not booted after S seconds (default: "
        "%(default)g)",
    )
    add("--no-log-check", action="store_true", help="ignore warnings in the kernel log")


def machine_options(args: argparse.Namespace) -> LabOptions:
    """The machine chosen by the options. Raises UsageError."""
    for directory in args.share:
        if not directory.is_dir():
            raise UsageError(
                f"cannot share '{directory}': not a directory",
                "name a directory with --share",
            )
    return LabOptions(
        kernel=args.kernel,
        suite=args.suite,
        icount=args.icount,
        cpus=args.cpus,
        cpu=args.cpu,
        pti=None if args.pti is None else args.pti == "on",
        mitigations=None if args.mitigations is None else mitigations(args.mitigations),
        memory=args.memory,
        append=tuple(args.append),
        disk=args.disk,
        timeout=getattr(args, "timeout", LabOptions.timeout),
        boot_timeout=args.boot_timeout,
        log_check=not args.no_log_check,
        share=tuple(args.share),
    )
