# SPDX-License-Identifier: GPL-2.0-only
"""``ub stats``: the figures of running engines for their processes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ubypass.cli import live_page
from ubypass.cli.options import PROCESS, add_html, add_interval, add_json
from ubypass.cli.process_figures import NOTHING, process_rows
from ubypass.cli.tables import console, plain_table
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError, UsageError

__all__ = [
    "VERB",
    "NotBoosted",
    "answered",
    "attached",
    "configure",
    "run",
    "since",
]

#: Version of the output of ``--json``, and of each line with ``--watch``; new keys do
#: not change it.
_VERSION = 1
_HEADING = 20  # lines between two headings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "process",
        nargs="?",
        metavar="PROCESS",
        help=f"only this one: {PROCESS}",
    )
    add_json(parser)
    add_html(parser)
    parser.add_argument(
        "--watch",
        action="store_true",
        help="print the changes repeatedly, until Ctrl-C",
    )
    add_interval(parser, "time between updates of --watch", least=0.05, default=1.0)


class NotBoosted(UbError):
    """Raised if a requested process is not boosted."""


def run(args: argparse.Namespace) -> int:
    """Ask every engine; 0, or an error if the named process is not boosted."""
    if args.html is not None:
        if args.watch or args.json:
            raise UsageError(
                "--html excludes --watch and --json", "use only one of them"
            )
        live_page.ready()
    pids = None if args.process is None else _named(args.process)
    if args.watch:
        _watch(pids, args.interval, as_json=args.json)
        return 0
    processes = attached(pids)
    data = {"version": _VERSION, "processes": processes}
    if args.html is not None:
        live_page.write_stats(args.html, data)
    elif args.json:
        import json

        print(json.dumps(data, indent=1))
    elif not processes:
        print(NOTHING)
    elif pids is None or len(processes) > 1:
        _print_all(processes)
    else:
        _print_one(processes[0])
    return 0


def _named(word: str) -> list[int]:
    from ubypass.cli.named import processes

    return processes(word)


def answered() -> tuple[list[dict[str, Any]], list[UbError]]:
    """All attached processes, and an error for each engine that does not answer.

    Raises ``UbError`` without permission to ask engines.
    """
    from ubypass.engine.control import ask_all

    answers, silent = ask_all({"ask": "stats"})
    processes = [
        {**process, "engine_pid": answer["engine_pid"]}
        for answer in map(_in_our_numbers, answers)
        for process in answer["processes"]
    ]
    return processes, silent


def attached(pids: Collection[int] | None) -> list[dict[str, Any]]:
    """Attached processes, or those of ``pids``; silent engines are named on stderr.

    Raises :class:`NotBoosted` if none of ``pids`` is attached, ``UbError`` if that
    cannot be told.
    """
    found, silent = answered()
    for error in silent:
        print(f"ub: {error.message}", file=sys.stderr)
    processes = [p for p in found if pids is None or p["pid"] in pids]
    if pids is not None and not processes:
        words = " ".join(map(str, pids))
        who = f"process {words}" if len(pids) == 1 else f"any of the processes {words}"
        if silent:
            raise UbError(f"no engine that answered boosts {who}", "try again later")
        who = who.replace("any", "none")
        raise NotBoosted(
            f"{who} is {'not ' if len(pids) == 1 else ''}being boosted",
            f"to boost: ub attach {words}",
        )
    return processes


def _in_our_numbers(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer of an engine with process numbers of this PID namespace.

    Processes without a number in it are left out.
    """
    from ubypass.process.namespace import numbers_here, own_namespace

    namespace = answer["pid_namespace"]
    if namespace == own_namespace():
        return answer
    numbers = numbers_here(namespace)
    return {
        "engine_pid": numbers.get(answer["engine_pid"]),
        "processes": [
            {**process, "pid": numbers[process["pid"]]}
            for process in answer["processes"]
            if process["pid"] in numbers
        ],
    }


def _watch(pids: Collection[int] | None, seconds: float, *, as_json: bool) -> None:
    """Print until no process is boosted any more, or until Ctrl-C.

    Each line has the changes of one process since its previous line.
    """
    import json

    before: dict[int, dict[str, Any]] = {}
    lines = 0
    try:
        while True:
            try:
                processes = attached(pids)
            except NotBoosted:
                if not before:
                    raise
                processes = []
            if not processes:
                if not as_json:
                    print("no process is boosted any more" if before else NOTHING)
                return
            for process in processes:
                change = since(before.get(process["pid"]), process)
                if as_json:
                    print(json.dumps({"version": _VERSION, **change}), flush=True)
                    continue
                if lines % _HEADING == 0:
                    print(
                        f"{'PID':>8}  {'CALLS':>10}  {'DISPATCHED':>10}  {'BYPASS':>7}"
                        f"  {'EXITS':>9}  {'LOADS':>5}  {'REGIONS':>7}  {'BYTES':>8}"
                    )
                print(
                    f"{change['pid']:>8}  {change['calls']:>10,}"
                    f"  {change['dispatched']:>10,}  {change['bypass_rate']:>7.1%}"
                    f"  {change['exits']:>9,}  {change['loads']:>5}"
                    f"  {change['regions']:>7}  {change['code_bytes']:>8,}",
                    flush=True,
                )
                lines += 1
            before = {process["pid"]: process for process in processes}
            time.sleep(seconds)
    except KeyboardInterrupt:
        pass


def since(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a process between two answers.

    Regions and bytes are present values.
    """
    calls, dispatched = now["calls"], now["dispatched"]
    exits, loads = sum(now["exits"].values()), now["loads"]
    if before is not None:
        calls -= before["calls"]
        dispatched -= before["dispatched"]
        exits -= sum(before["exits"].values())
        loads -= before["loads"]
    return {
        "pid": now["pid"],
        "calls": calls,
        "dispatched": dispatched,
        "bypass_rate": dispatched / calls if calls else 0.0,
        "exits": exits,
        "loads": loads,
        "regions": now["regions"],
        "code_bytes": now["code_bytes"],
    }


def _print_all(processes: Sequence[Mapping[str, Any]]) -> None:
    from rich.markup import escape

    from ubypass.engine.declines import HINTS, REASONS, named

    table = plain_table()
    table.add_column("PID", justify="right")
    table.add_column("PROGRAM")
    for title in ("CALLS", "DISPATCHED", "BYPASS", "EXITS", "REGIONS", "CODE"):
        table.add_column(title, justify="right")
    for process in processes:
        table.add_row(
            str(process["pid"]),
            escape(process["name"]),
            f"{process['calls']:,}",
            f"{process['dispatched']:,}",
            f"{process['bypass_rate']:.1%}",
            f"{sum(process['exits'].values()):,}",
            f"{process['regions']}",
            f"{process['code_bytes']:,} B",
        )
    console().print(table)
    for process in processes:
        if process["declined_for"]:
            reason = named(process["declined_for"])
            print(f"{process['pid']} is not boosted: {REASONS[reason]}")
            print(f"  {HINTS[reason]}")


def _print_one(process: Mapping[str, Any]) -> None:
    rows = process_rows(process)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


VERB = Verb(
    "stats",
    "show the boosted processes and their figures",
    configure,
    run,
)
