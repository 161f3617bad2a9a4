# SPDX-License-Identifier: GPL-2.0-only
"""``ub module build``: compile the kernel module."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from ubypass.cli.module.files import short
from ubypass.cli.options import add_kernel, add_suite
from ubypass.cli.verbs import Verb
from ubypass.places import cache_dir, kernel_sources, module_file

__all__ = ["VERB", "configure", "run"]

_INSTALLED_HEADERS = Path("/lib/modules")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    which = parser.add_mutually_exclusive_group()
    add_kernel(which, "the running one if its headers are here, else the lab's")
    which.add_argument(
        "--lab", action="store_true", help="build for the kernel of the lab"
    )
    add_suite(which, "with the compiler of that suite")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the compiler's output"
    )


def run(args: argparse.Namespace) -> int:
    """Compile it for one kernel; 0. Raises UbError."""
    from ubypass.module.build import build_module

    release = args.kernel or _default_release(args.lab, args.suite)
    made = build_module(
        release,
        kernel_sources(),
        module_file(release).parent,
        suite=args.suite,
        verbose=args.verbose,
        report=lambda phrase: print(f"module: {phrase}", file=sys.stderr),
    )
    print(f"built {short(made)}")
    return 0


def _default_release(for_lab: bool, suite: str | None = None) -> str:
    """The running kernel if its headers are available, else the lab's default.

    Only one of them: headers of the other may be a further download.
    """
    from ubypass.lab.kernels import default_release, headers_dir

    if suite is not None:
        return default_release(suite)
    running = platform.release()
    places = (
        _INSTALLED_HEADERS / running / "build",
        headers_dir(cache_dir() / "kernels" / running / "headers", running),
    )
    if not for_lab and any((place / "Makefile").is_file() for place in places):
        return running
    return default_release()


VERB = Verb("build", "build the module", configure, run)
