# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench prepare``: compile on the host, before the lab needs the results."""

from __future__ import annotations

import argparse
from pathlib import Path

from ubypass.cli.options import add_kernel
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_kernel(parser, "the lab's")
    parser.add_argument(
        "--redis",
        type=Path,
        metavar="TARBALL",
        help="also build redis-server from the tarball of a release, for 'ub bench "
        "server redis --tarball TARBALL' in the lab; once for each tarball",
    )


def run(args: argparse.Namespace) -> int:
    """Compile the workloads, the bench's kernel module, and redis if asked to; 0."""
    from ubypass.bench import modules, workloads
    from ubypass.bench.server.tarball import build_redis
    from ubypass.lab import kernels

    with progress("bench") as report:
        if args.redis is not None:
            build_redis(args.redis, report)
        report("compiling the workloads")
        workloads.build_workloads()
        release = args.kernel or kernels.default_release()
        modules.build_bench_module(release, report)
    return 0


VERB = Verb(
    "prepare", "compile the workloads here, faster than in the lab", configure, run
)
