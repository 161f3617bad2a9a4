# SPDX-License-Identifier: GPL-2.0-only
"""``ub calibrate``: the times on this CPU of what boosting saves and adds."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ubypass.cli.options import add_json
from ubypass.cli.progress import progress
from ubypass.cli.tables import console, plain_table
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError

if TYPE_CHECKING:
    from rich.console import Console

    from ubypass.calibrate import Calibration, Figure

__all__ = ["VERB", "configure", "run"]

#: Version of the output of ``--json``; new keys do not change it.
_VERSION = 1

_DESCRIPTION = (
    "Measures for a second the time of a transition into the kernel and back, as "
    "programs make it, of a mispredicted return, a clamp and a locked addition. Needs "
    "no privileges, no module and no compiler. 'ub run' and 'ub attach' use these "
    "figures for their decisions. They are cached for this CPU until the next boot."
)

_KINDS = {
    "empty": "no such call",
    "getppid": "getppid",
    "write": "write to null",
    "pread": "pread of memory",
    "send": "send by UDP",
}

_CALLS = (
    "ALONE: a loop with the call, minus the same loop without it. +1 to +16: the "
    "additional time with 1 to 16 returns after the call, whose predictions the "
    "kernel's own calls may overwrite. ±: spread of repetitions, of the call alone and "
    "at +16. EACH: additional time per return, from all of +1 to +16."
)

_OTHERS = (
    ("cycle", "cycle of the core", "additions, one after the other"),
    ("predicted_return", "call and return", "both predicted"),
    ("mispredicted_return", "mispredicted return", "more than a predicted one"),
    ("clamp_latency", "clamp, latency", "added to dependent loads"),
    ("clamp_throughput", "clamp, throughput", "added to independent loads"),
    ("plain_add", "add to memory", "in the first-level cache"),
    ("locked_add", "locked add", "the same, locked"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = _DESCRIPTION
    add_json(parser)
    parser.add_argument(
        "--again", action="store_true", help="measure again instead of using the cache"
    )
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="measure even in an emulator, although its figures are meaningless",
    )


def run(args: argparse.Namespace) -> int:
    """Print the calibration. Raises UbError in an emulator, unless overridden."""
    from ubypass import processor
    from ubypass.calibrate import cache, measure

    emulated = processor.is_emulated()
    if emulated and not args.anyway:
        raise UbError(
            f"this is an emulator ({processor.describe()}): its times for instructions "
            "are meaningless",
            "calibrate on a real processor, or measure here with --anyway",
        )
    known = None if args.again else cache.found()
    since = known is not None
    if known is None:
        with progress("calibrate", lines=False) as report:
            report("measuring this CPU")
            known = measure()
        cache.keep(known)
    if args.json:
        facts = {"emulated": emulated, "kept": since}
        data = {"version": _VERSION, **known.as_data(), **facts}
        print(json.dumps(data, indent=1))
    else:
        _print(known, emulated, since)
    return 0


def _print(known: Calibration, emulated: bool, kept: bool) -> None:
    from rich.markup import escape

    out = console()
    out.print(escape(known.processor), soft_wrap=True)
    when = "cached since this boot" if kept else "measured now"
    out.print(
        f"core {1 / known.ns_per_cycle:.2f} GHz, TSC "
        f"{known.tsc_mhz / 1000:.2f} GHz; {when} ({known.rounds:,} rounds, "
        f"{known.seconds:.2f} s)"
    )
    if emulated:
        out.print("[red]This is an emulator: the figures are meaningless.[/]")
    out.print()
    _print_calls(out, known)
    out.print()
    _print_others(out, known)


def _print_calls(out: Console, known: Calibration) -> None:

    from ubypass.calibrate import DEPTHS

    table = plain_table()
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

    table = plain_table()
    table.add_column("OPERATION")
    for name in ("ns", "±", "CYCLES"):
        table.add_column(name, justify="right")
    table.add_column("MEANING")
    for field, name, meaning in _OTHERS:
        figure: Figure = getattr(known, field)
        cycles = f"{known.cycles(figure.ns):,.2f}"
        table.add_row(
            name, f"{figure.ns:,.3f}", f"{figure.spread:,.3f}", cycles, meaning
        )
    out.print(table)


def _ns(value: float, sign: str = "") -> str:
    """One decimal, none from 1000 ns on: columns are narrow."""
    return f"{value:{sign},.{0 if abs(value) >= 1000 else 1}f}"


VERB = Verb(
    "calibrate",
    "time system calls, returns, clamps and locks on this CPU",
    configure,
    run,
)
