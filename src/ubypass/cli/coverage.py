# SPDX-License-Identifier: GPL-2.0-only
"""``ub coverage``: how much of a program's code translates, and what does not.

Counts the code of functions only; :mod:`ubypass.coverage.functions` says how it is
told from padding and tables. Needs no kernel module.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ubypass.cli.options import whole
from ubypass.cli.progress import progress
from ubypass.cli.tables import console
from ubypass.errors import UbError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ubypass.coverage.measure import Coverage

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "coverage"
HELP = "how much of a program's code could be translated"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "files", metavar="ELF", nargs="+", help="a 64-bit x86 program or library"
    )
    parser.add_argument(
        "--blockers",
        type=whole(),
        default=10,
        metavar="N",
        help="show the N most frequent instructions that do not (default: %(default)s)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for machines")
    form.add_argument("--markdown", action="store_true", help="as docs/coverage.md")


def run(args: argparse.Namespace) -> int:
    """Measure each file and print; 1 if one of them has nothing to measure."""
    from ubypass.coverage.measure import measure, require_code
    from ubypass.process.elf import open_elf

    elves = [open_elf(path) for path in args.files]
    for elf in elves:
        require_code(elf)  # before the others are looked at for minutes
    found: list[Coverage] = []
    failed: UbError | None = None
    with progress("coverage", lines=False) as report:
        for elf in elves:
            report(f"looking at {elf.name}")
            try:
                found.append(measure(elf))
            except UbError as error:
                failed = error
    if failed is not None and not found:
        raise failed
    if args.json:
        print(json.dumps([_data(coverage) for coverage in found], indent=1))
    elif args.markdown:
        print(_markdown(found, args.blockers, args.files), end="")
    else:
        _print(found, args.blockers)
    if failed is not None:
        raise failed
    return 0


def _data(coverage: Coverage) -> dict[str, Any]:
    return {
        "file": coverage.name,
        "functions": coverage.functions,
        "blocks": coverage.blocks,
        "blocks_translated": coverage.blocks_translated,
        "block_share": coverage.block_share,
        "instructions": coverage.instructions,
        "instructions_translated": coverage.instructions_translated,
        "instruction_share": coverage.instruction_share,
        "blockers": [
            {"code": b.code, "reason": b.reason, "count": b.count}
            for b in coverage.blockers
        ],
    }


def _print(found: Sequence[Coverage], most: int) -> None:
    from rich.markup import escape
    from rich.table import Table

    out = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("FILE", overflow="fold")
    for name in ("FUNCTIONS", "BLOCKS", "%", "INSTRUCTIONS", "%"):
        table.add_column(name, justify="right")
    for coverage in found:
        table.add_row(
            escape(coverage.name),
            f"{coverage.functions:,}",
            f"{coverage.blocks:,}",
            _percent(coverage.block_share),
            f"{coverage.instructions:,}",
            _percent(coverage.instruction_share),
        )
    out.print(table)
    for coverage in found:
        shown = coverage.blockers[: max(most, 0)]
        if not shown:
            continue
        out.print()
        blockers = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        blockers.add_column("COUNT", justify="right")
        blockers.add_column(f"NOT IN {escape(coverage.name)}", overflow="fold")
        blockers.add_column("BECAUSE")
        for blocker in shown:
            blockers.add_row(f"{blocker.count:,}", blocker.code, escape(blocker.reason))
        out.print(blockers)
        rest = coverage.blockers[len(shown) :]
        if rest:
            count = sum(blocker.count for blocker in rest)
            out.print(f"and {count:,} of {len(rest)} other kinds", style="dim")


def _percent(share: float) -> str:
    """Never rounded up to 100."""
    return "100" if share == 1 else f"{int(share * 100_000) / 1000:.3f}"


_PAGE = """\
# How much of real programs translates

Of each program's functions: the basic blocks and the instructions that the translator
takes, asked of its own rules with everything that processors offer. What counts as a
function's code, and that padding and tables do not, says the docstring of
`ubypass.coverage.functions`. The rest runs natively, as ever. Made by

    {command}
"""


def _markdown(found: Sequence[Coverage], most: int, files: Sequence[str]) -> str:
    command = f"ub coverage --markdown --blockers {most}"
    command += "".join(f" \\\n        {path}" for path in files)
    lines = [
        _PAGE.format(command=command),
        "| file | functions | blocks | translate, % | instructions | translate, % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for coverage in found:
        lines.append(
            f"| {coverage.name} | {coverage.functions:,} "
            f"| {coverage.blocks:,} | {_percent(coverage.block_share)} "
            f"| {coverage.instructions:,} | {_percent(coverage.instruction_share)} |"
        )
    for coverage in found:
        shown = coverage.blockers[: max(most, 0)]
        if not shown:
            continue
        lines += ["", f"What does not in {coverage.name}:", ""]
        lines += ["| count | instruction | because |", "|---:|---|---|"]
        lines += [f"| {b.count:,} | `{b.code}` | {b.reason} |" for b in shown]
    return "\n".join(lines) + "\n"
