# SPDX-License-Identifier: GPL-2.0-only
"""``make fuzz``: until stopped, or until so many executions or seconds."""

from __future__ import annotations

import argparse
import os
import random
import sys

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.fuzz.campaign import Counts, run_campaign
from tests.fuzz.forms import absent, all_forms
from tests.fuzz.found import FILE, save
from tests.fuzz.schedule import endless
from tests.fuzz.units import subject_of
from ubypass.errors import UbError

_SHOWN = 10


def main() -> int:
    """Fuzz; 1 if anything was not exact."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--executions", type=int, metavar="N")
    parser.add_argument("--seconds", type=int, metavar="N")
    parser.add_argument("--seed", type=int, help="default: another one each time")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    args = parser.parse_args()
    seed = random.randrange(1 << 20) if args.seed is None else args.seed
    console = Console()
    names = all_forms()
    lacking = absent()
    console.print(
        f"seed {seed}, {args.jobs} jobs; {len(names)} forms; this processor lacks "
        f"{len(lacking)}" + (f": {', '.join(lacking)}" if lacking else "")
    )

    counts = Counts()

    def enough(counts: Counts) -> bool:
        if args.seconds is not None and counts.seconds > args.seconds:
            return True
        done = args.executions is not None and counts.executions >= args.executions
        return done and counts.units >= 3 * len(names)

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("starting", total=None)
        run_campaign(
            endless(seed, lambda: counts.missing(names)),
            enough,
            args.jobs,
            lambda counts: progress.update(task, description=_line(counts)),
            counts,
        )
    return _end(console, counts, names)


def _line(counts: Counts) -> str:
    return (
        f"{counts.executions:,} executions, {len(counts.forms):,} forms, "
        f"{len(counts.blocks):,} blocks, {counts.regions:,} programs, "
        f"{counts.mismatches} mismatches"
    )


def _share(all_of_them: int, stale: int) -> str:
    return f"{100 * (1 - stale / max(all_of_them, 1)):.2f} %"


def _end(console: Console, counts: Counts, names: tuple[str, ...]) -> int:
    console.print(
        f"{_line(counts)}, {counts.refused} refused by the verifier, "
        f"{counts.undecided} undecided, {counts.needless} needless faults; "
        f"{counts.executions / max(counts.seconds, 1e-9):,.0f} executions/s"
    )
    console.print(
        "flags that nobody reads are the original's at "
        f"{_share(counts.faults, counts.stale)} of {counts.faults:,} exits for faults, "
        f"{_share(counts.left, counts.stale_left)} of all exits"
    )
    missing = counts.missing(names)
    console.print(f"forms not hit: {', '.join(missing) if missing else 'none'}")
    for outcome in counts.failures[:_SHOWN]:
        console.print(
            f"[bold red]{outcome.unit}[/]: {outcome.failure}", highlight=False
        )
        name = save(subject_of(outcome.unit), outcome.unit, outcome.failure)
        console.print(f"  kept as {name} in {FILE.name}")
    return 1 if counts.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UbError as error:
        sys.exit(f"fuzz: {error}")
