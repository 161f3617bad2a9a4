# SPDX-License-Identifier: GPL-2.0-only
"""``ub stats``: what running engines have done for their processes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ubypass.cli.options import seconds
from ubypass.cli.tables import console
from ubypass.errors import UbError

__all__ = ["HELP", "NAME", "NotBoosted", "configure", "run", "since"]

NAME = "stats"
_NOTHING = "nothing is being boosted; start with: ub run -- COMMAND"
_HEADING = 20  # lines from one heading to the next
HELP = "show the processes that are being boosted and what it brings"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "process",
        nargs="?",
        metavar="PROCESS",
        help="only this: PID, name, program's path, UNIT.service or cgroup:PATH",
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="again and again, with what has happened in between",
    )
    parser.add_argument(
        "--interval",
        type=seconds(0.05, 3600),
        default=1.0,
        metavar="SECONDS",
        help="how long '--watch' waits from one look to the next (default: 1)",
    )


class NotBoosted(UbError):
    """The process that was asked about."""


def run(args: argparse.Namespace) -> int:
    """Ask every engine; 0, or an error if the named process is not boosted."""
    pids = None if args.process is None else _named(args.process)
    if args.watch:
        _watch(pids, args.interval, as_json=args.json)
        return 0
    processes = _ask(pids)
    if args.json:
        import json

        print(json.dumps({"processes": processes}, indent=1))
    elif not processes:
        print(_NOTHING)
    elif pids is None or len(processes) > 1:
        _print_all(processes)
    else:
        _print_one(processes[0])
    return 0


def _named(word: str) -> list[int]:
    from ubypass.cli.named import processes

    return processes(word)


def _ask(pids: Collection[int] | None) -> list[dict[str, Any]]:
    from ubypass.engine.control import ask_all

    answers, silent = ask_all({"ask": "stats"})
    for error in silent:
        print(f"ub: {error.message}", file=sys.stderr)
    processes = [
        {**process, "engine_pid": answer["engine_pid"]}
        for answer in map(_in_our_numbers, answers)
        for process in answer["processes"]
        if pids is None or process["pid"] in pids
    ]
    if pids is not None and not processes:
        words = " ".join(map(str, pids))
        who = f"process {words}" if len(pids) == 1 else f"any of the processes {words}"
        if silent:
            raise UbError(f"who answers does not boost {who}")
        who = who.replace("any", "none")
        raise NotBoosted(
            f"{who} is {'not ' if len(pids) == 1 else ''}being boosted",
            f"ub attach {words}",
        )
    return processes


def _in_our_numbers(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer of an engine with process numbers as they are here.

    In another PID namespace they are other ones; what has none here is left out.
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
    """Print until nothing is boosted any more, or Ctrl-C.

    Each line tells of one process since the line before: so one sees it converge.
    """
    import json

    before: dict[int, dict[str, Any]] = {}
    lines = 0
    try:
        while True:
            try:
                processes = _ask(pids)
            except NotBoosted:
                if not before:
                    raise
                processes = []
            if not processes:
                if not as_json:
                    print("nothing is being boosted any more" if before else _NOTHING)
                return
            for process in processes:
                change = since(before.get(process["pid"]), process)
                if as_json:
                    print(json.dumps(change), flush=True)
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
    """What has happened in a process from one answer to the next.

    Regions and bytes are those of now.
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
    from rich.table import Table

    from ubypass.device.uapi import Decline
    from ubypass.engine.declines import HINTS, REASONS

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
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
            reason = Decline[process["declined_for"].upper()]
            print(f"{process['pid']} is not boosted: {REASONS[reason]}")
            print(f"  {HINTS[reason]}")


def _print_one(process: Mapping[str, Any]) -> None:
    from ubypass.device.uapi import Decline
    from ubypass.engine.declines import REASONS

    first = process["first_boost_seconds"]
    exits = sorted(process["exits"].items(), key=lambda item: -item[1])
    rows = [
        ("process", f"{process['pid']} ({process['name']})"),
        ("system calls", f"{process['calls']:,}"),
        ("dispatched", f"{process['dispatched']:,} ({process['bypass_rate']:.2%})"),
        ("runs", f"{process['runs']:,} ({process['declined']:,} declined)"),
        ("regions", f"{process['regions']}"),
        ("entries", f"{process['entries']}"),
        ("instructions", f"{process['region_instructions']:,}"),
        ("bytes", f"{process['source_bytes']:,} -> {process['code_bytes']:,}"),
        ("loads", f"{process['loads']} ({process['build_seconds']:.2f} s)"),
        ("first boost", "never" if first is None else f"after {first:.2f} s"),
        *((f"exits: {name}", f"{count:,}") for name, count in exits),
        *(
            ("declined", f"{count:,}: {REASONS[Decline[name.upper()]]}")
            for name, count in process["declines"].items()
        ),
        *(
            [
                (
                    "filtered",
                    f"{process['filtered']:,}: a seccomp filter objects, or is to act",
                )
            ]
            if process["filtered"]
            else []
        ),
        *(("note", note) for note in process["notes"]),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
