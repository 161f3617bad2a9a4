# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench io --with``: the loops' reads compared with other ways to read.

Not a verb: options of ``ub bench io``, and their implementation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.cli.bench.options import command_line
from ubypass.cli.options import whole
from ubypass.errors import UsageError

if TYPE_CHECKING:
    from ubypass.bench.io import Plan as LoopPlan
    from ubypass.bench.records import Machine
    from ubypass.bench.uring.measure import Plan
    from ubypass.bench.uring.record import Row

__all__ = ["configure", "require", "run", "show"]

_URING = "uring"
_FIO = "fio"

#: By time, rounds differ much more than by count.
_NATIVE_ROUNDS = 11


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options to those of ``ub bench io``."""
    parser.add_argument(
        "--with",
        dest="rivals",
        action="append",
        choices=(_URING, _FIO),
        default=[],
        help="compare native and boosted pread with io_uring instead: in loops "
        "(uring) or with the engines of fio (fio); may be repeated",
    )
    parser.add_argument(
        "--depth",
        action="append",
        type=whole(1, 1024),
        default=[],
        metavar="N",
        help="queue depth of io_uring; may be repeated (default: 1 to 1024)",
    )

    parser.add_argument(
        "--native",
        action="store_true",
        help="with --with uring: boost nothing; needs neither root nor module nor lab, "
        "and shows CPU time on this machine, in memory and in this directory",
    )


def require(args: argparse.Namespace) -> None:
    """Raise UsageError for options that contradict each other."""
    if args.depth and not args.rivals:
        raise UsageError("--depth needs --with uring or --with fio", "add one of them")
    if args.native and args.rivals != [_URING]:
        raise UsageError("--native needs --with uring alone", "add --with uring")
    if args.native and args.disk:
        raise UsageError("--native reads in memory and here", "leave out --disk")
    if args.as_paper and args.rivals:
        raise UsageError(
            "--as-paper and --with exclude each other", "use only one of them"
        )


def run(
    args: argparse.Namespace,
    machine: Machine,
    plan: LoopPlan,
    disk: Path | None,
    report: Callable[[str], None],
) -> list[Row]:
    """Measure; the rows so far are always in the file of ``--json``. Raises UbError."""
    from ubypass.bench.records import today
    from ubypass.bench.uring.measure import compare
    from ubypass.bench.uring.record import write_rows

    rows: list[Row] = []
    for row in compare(_plan(args, plan), machine, report, disk):
        rows.append(replace(row, command=command_line(), date=today()))
        if args.json is not None:
            write_rows(args.json, rows)
    return rows


def show(rows: list[Row]) -> int:
    """Print the rows; 1 if boosting changed the data, or if a loop was not boosted.

    A loop of fio that is not boosted is a result, not a failure: the engine declined
    it.
    """
    from ubypass.bench.uring.record import BOOSTED, LOOP
    from ubypass.bench.uring.report import show as print_rows

    print_rows(rows)
    wrong = any(
        row.same_results is False or (row.cost is None and row.program == LOOP)
        for row in rows
        if row.way == BOOSTED
    )
    return 1 if wrong else 0


def _plan(args: argparse.Namespace, loops: LoopPlan) -> Plan:
    """The plan chosen by the options."""
    from ubypass.bench.uring import measure
    from ubypass.bench.uring.record import FIO, LOOP

    programs = tuple({_URING: LOOP, _FIO: FIO}[each] for each in args.rivals)
    if args.native:
        loops = replace(loops, rounds=_NATIVE_ROUNDS)
    plan = measure.Plan(programs, loops=loops, boosted=not args.native)
    if args.quick:
        few = measure.QUICK_DEPTHS
        plan = replace(plan, sizes=(64,), depths=few, fio_depths=few)
    if args.size:
        plan = replace(plan, sizes=tuple(args.size))
    if args.depth:
        plan = replace(plan, depths=tuple(args.depth), fio_depths=tuple(args.depth))
    return plan
