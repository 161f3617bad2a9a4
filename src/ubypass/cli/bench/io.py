# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench io``: loops of getppid and of file reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.cli.bench import rivals
from ubypass.cli.bench.options import add_quick, add_size, command_line
from ubypass.cli.options import add_json_file
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb

if TYPE_CHECKING:
    from ubypass.bench.loop import Workload
    from ubypass.bench.records import Record

__all__ = ["VERB", "configure", "run", "show"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Measures loops of getppid and of pread (1 to 4096 bytes, with and without "
        "summing the data) natively, boosted, and at the limit: without transitions. "
        "Needs root and the modules, which are loaded automatically in the lab."
    )
    add_json_file(parser)
    how = parser.add_mutually_exclusive_group()
    add_quick(how, "a few loops, in short rounds")
    how.add_argument(
        "--as-paper",
        action="store_true",
        help="as in the paper on Userspace Bypass: one run to warm up, then ten that "
        "are measured; means and standard deviations",
    )
    add_size(parser, "only reads of N bytes", 1 << 20)
    rivals.configure(parser)
    parser.add_argument(
        "--disk",
        action="store_true",
        help="read from a file system on the lab's disk, with and without the page "
        "cache: ub lab run --icount --disk 256M -- ub bench io --disk",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and show.

    1 if boosting changed the data that a program read, or if a loop was not boosted.
    """
    from ubypass.bench import disk, modules

    rivals.require(args)
    with ExitStack() as stack:
        report = stack.enter_context(progress("bench"))
        # Before everything else: missing modules are the most frequent failure.
        wanted = "--icount --disk 256M" if args.disk else "--icount"
        command = command_line()
        directory = None
        if args.native:
            directory = Path.cwd()
        else:
            modules.ensure_loaded(report, f"ub lab run {wanted} -- {command}")
        if args.disk:
            directory = stack.enter_context(disk.mounted())
        report("starting")
        from ubypass.bench import io, machine
        from ubypass.bench.records import today, write_records

        plan = io.AS_PAPER if args.as_paper else io.Plan()
        if args.quick:
            plan = io.Plan(round_instructions=4_000_000, rounds=3)
        here = machine.describe()
        if args.rivals:
            rows = rivals.run(args, here, plan, directory, report)
        else:
            records: list[Record] = []
            workloads = _workloads(args)
            for record in io.measure_all(workloads, here, plan, report, directory):
                records.append(replace(record, command=command, date=today()))
                if args.json is not None:
                    write_records(args.json, records)
    return rivals.show(rows) if args.rivals else show(records)


def _workloads(args: argparse.Namespace) -> Sequence[Workload]:
    """The loops chosen by the options."""
    from ubypass.bench import io

    if args.disk:
        workloads = io.DISK_QUICK if args.quick else io.DISK
    else:
        workloads = io.QUICK if args.quick else io.WORKLOADS
    return io.of_sizes(workloads, args.size) if args.size else workloads


def show(records: Sequence[Record]) -> int:
    """Print the records; the exit status as from :func:`run`."""
    from ubypass.bench import report

    report.show(records)
    good = all(record.same_results and record.is_boosted for record in records)
    return 0 if good else 1


VERB = Verb("io", "measure loops of getppid and of file reads", configure, run)
