# SPDX-License-Identifier: GPL-2.0-only
"""``ub calibrate``: what this CPU takes for what boosting saves and adds."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ubypass.cli.progress import progress
from ubypass.cli.tables import console
from ubypass.errors import UbError

if TYPE_CHECKING:
    from rich.console import Console

    from ubypass.calibrate import Calibration, Figure

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "calibrate"
HELP = "what system calls, returns, clamps and locks take on this CPU"

_DESCRIPTION = (
    "Measures for a second what a transition into the kernel and back takes as "
    "programs make it, and what a mispredicted return, a clamp and a locked addition "
    "take. Needs no privileges, no module and no compiler. ub run and ub attach decide "
    "by these figures. They are kept for this CPU until the next boot."
)

_KINDS = {
    "empty": "no such call",
    "getppid": "getppid",
    "write": "write to null",
    "pread": "pread of memory",
    "send": "send by UDP",
}

_CALLS = (
    "ALONE: a loop of the call, less that loop without it. +1 to +16: what it takes "
    "more with so many returns behind it; the kernel's own calls may overwrite what "
    "the CPU predicts of them. ±: how far repetitions differ, of the call alone and "
    "at +16. EACH: more per return, by all of +1 to +16."
)

_OTHERS = (
    ("cycle", "cycle of the core", "additions, one after the other"),
    ("predicted_return", "call and return", "both predicted"),
    ("mispredicted_return", "mispredicted return", "more than a predicted one"),
    ("clamp_latency", "clamp, latency", "more, for loads that wait for it"),
    ("clamp_throughput", "clamp, throughput", "more, where no load waits for it"),
    ("plain_add", "add to memory", "in the first-level cache"),
    ("locked_add", "locked add", "the same, locked"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--again", action="store_true", help="measure, whatever is known since the boot"
    )
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="also in an emulator, whose figures mean nothing",
    )


def run(args: argparse.Namespace) -> int:
    """Print the calibration. Raises UbError in an emulator, unless told otherwise."""
    from ubypass import processor
    from ubypass.calibrate import cache, measure

    emulated = processor.is_emulated()
    if emulated and not args.anyway:
        raise UbError(
            f"this is an emulator ({processor.describe()}): the time it takes for an "
            "instruction means nothing",
            "calibrate on a real processor; --anyway measures all the same",
        )
    known = None if args.again else cache.found()
    since = known is not None
    if known is None:
        with progress("calibrate", lines=False) as report:
            report("measuring this CPU")
            known = measure()
        cache.keep(known)
    if args.json:
        data = {**known.as_data(), "emulated": emulated, "kept": since}
        print(json.dumps(data, indent=1))
    else:
        _print(known, emulated, since)
    return 0


def _print(known: Calibration, emulated: bool, kept: bool) -> None:
    from rich.markup import escape

    out = console()
    out.print(escape(known.processor), soft_wrap=True)
    when = "kept since this boot" if kept else "measured now"
    out.print(
        f"core {1 / known.ns_per_cycle:.2f} GHz, TSC "
        f"{known.tsc_mhz / 1000:.2f} GHz; {when} ({known.rounds:,} rounds, "
        f"{known.seconds:.2f} s)"
    )
    if emulated:
        out.print("[red]An emulator: these figures mean nothing.[/]")
    out.print()
    _print_calls(out, known)
    out.print()
    _print_others(out, known)


def _print_calls(out: Console, known: Calibration) -> None:
    from rich.table import Table

    from ubypass.calibrate import DEPTHS

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("SYSTEM CALL, ns")
    table.add_column("ALONE", justify="right", overflow="fold")
    table.add_column("±", justify="right")
    for depth in DEPTHS[1:]:
        table.add_column(f"+{depth}", justify="right", overflow="fold")
    table.add_column("±", justify="right")
    table.add_column("EACH", justify="right")
    for transition in known.transitions:
        first, last = transition.by_depth[0], transition.by_depth[-1]
        table.add_row(
            _KINDS[transition.kind],
            _ns(first.ns),
            _ns(first.spread),
            *(_ns(figure.ns - first.ns, "+") for figure in transition.by_depth[1:]),
            _ns(last.spread),
            f"{transition.per_return_ns:,.2f}",
        )
    out.print(table)
    out.print(_CALLS, style="dim")


def _print_others(out: Console, known: Calibration) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("ONE")
    for name in ("ns", "±", "CYCLES"):
        table.add_column(name, justify="right")
    table.add_column("WHICH IS")
    for field, name, meaning in _OTHERS:
        figure: Figure = getattr(known, field)
        cycles = f"{known.cycles(figure.ns):,.2f}"
        table.add_row(
            name, f"{figure.ns:,.3f}", f"{figure.spread:,.3f}", cycles, meaning
        )
    out.print(table)


def _ns(value: float, sign: str = "") -> str:
    """Large ones have no use for a tenth, and columns no room."""
    return f"{value:{sign},.{0 if abs(value) >= 1000 else 1}f}"
