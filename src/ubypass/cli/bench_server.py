# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench server``: real servers under load, native, boosted and native again."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.cli.options import out_file, seconds, whole
from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.bench.server.measure import Plan, Server

__all__ = ["configure", "run"]

_Report = Callable[[str], None]


#: A quick look puts so much less load on a server. It waits for it to settle as any
#: other: while the engine finds out what pays, a gap that loses is dispatched, too.
_QUICK_PART = 3

#: A case, and how to start its server.
_Start = Callable[[], "AbstractContextManager[Server]"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add a verb for each server."""
    servers = parser.add_subparsers(dest="server", required=True, metavar="SERVER")
    redis = servers.add_parser(
        "redis",
        help="redis-server under redis-benchmark",
        description="GET and SET, values of 1 to 16384 bytes, 50 clients, without "
        "pipeline and with one of 16. Options choose a part of that.",
    )
    redis.add_argument("--command", action="append", choices=("GET", "SET"), default=[])
    redis.add_argument(
        "--pipeline", action="append", type=whole(1), default=[], metavar="N"
    )
    redis.add_argument("--requests", type=whole(1), default=12_000, metavar="N")
    nginx = servers.add_parser(
        "nginx",
        help="nginx under wrk",
        description="Static files of 1 to 256 KiB, with and without access log, one "
        "and two workers. Options choose a part of that.",
    )
    nginx.add_argument("--log", choices=("on", "off"), help="default: both")
    nginx.add_argument(
        "--workers", action="append", type=whole(1), default=[], metavar="N"
    )
    nginx.add_argument("--seconds", type=seconds(0.01, 3600), default=0.4, metavar="S")
    raw = servers.add_parser(
        "rawsocket",
        help="a receiver of UDP packets on a raw socket",
        description="A loop of recvfrom on a raw socket, with and without adding up "
        "what was received, and a sender beside it. What counts is time per packet.",
    )
    raw.add_argument("--requests", type=whole(1), default=10_000, metavar="N")
    for each, unit in (redis, "bytes"), (nginx, "KiB"), (raw, "bytes"):
        each.add_argument(
            "--size", action="append", type=whole(1), default=[], metavar="N", help=unit
        )
        each.add_argument("--json", type=out_file, metavar="FILE", help="write records")
        each.add_argument(
            "--builds",
            type=Path,
            metavar="DIRECTORY",
            help="record there what is built, for 'ub bench replay'",
        )
        each.add_argument(
            "--quick",
            action="store_true",
            help="a few runs, of one case unless you choose",
        )
        each.add_argument(
            "--runs", type=whole(1), default=5, metavar="N", help="each way"
        )
        each.add_argument(
            "--cycles", type=whole(1), default=1, metavar="N", help="of attaching"
        )
        each.add_argument(
            "--tune", action="append", default=[], metavar="NAME=VALUE", help="for ub"
        )


def run(args: argparse.Namespace, report: _Report) -> int:
    """Measure and show; 1 if a reply was wrong."""
    from ubypass.bench import machine, modules
    from ubypass.bench.server.measure import Setting, measure
    from ubypass.bench.server.record import ServerRecord, write_server_records
    from ubypass.bench.server.report import show
    from ubypass.bench.transition import measure_transition

    modules.ensure_loaded(report, f"ub lab run --icount -- {_command()}")
    starts = _starts(args)
    here = machine.describe()
    setting = Setting(
        here,
        measure_transition(here),
        _command(),
        tuple(f"--tune={word}" for word in args.tune),
        _emptied(args.builds),
    )
    plan = _plan(args)
    records: list[ServerRecord] = []
    began = time.monotonic()
    for number, start in enumerate(starts, 1):

        def say(step: str, number: int = number) -> None:
            spent = time.monotonic() - began
            times = _times(spent, number, len(starts))
            report(f"[{number}/{len(starts)}, {times}] {step}")

        with start() as server:
            records.append(measure(server, plan, setting, say))
        if args.json is not None:
            write_server_records(args.json, records)
    show(records)
    return 1 if any(record.wrong for record in records) else 0


def _plan(args: argparse.Namespace) -> Plan:
    from ubypass.bench.server.measure import Plan

    return Plan(runs=2) if args.quick else Plan(runs=args.runs, cycles=args.cycles)


def _emptied(directory: Path | None) -> Path | None:
    """The directory, without the recordings of an earlier time. Raises UbError."""
    if directory is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("*.builds"):
            old.unlink()
    except OSError as error:
        raise UbError(f"cannot write to {directory}: {error.strerror}") from error
    return directory.resolve()


def _times(spent: float, number: int, count: int) -> str:
    """How long it took so far, and about how long it will, by the machine's clock."""
    if number == 1:
        return f"{spent:.0f} s"
    each = spent / (number - 1)
    return f"{spent:.0f} s of about {each * count:.0f} s"


def _starts(args: argparse.Namespace) -> Sequence[_Start]:
    """How to start the server of each case that was asked for."""
    if args.server == "redis":
        return _redis(args)
    if args.server == "nginx":
        return _nginx(args)
    return _raw(args)


def _redis(args: argparse.Namespace) -> list[_Start]:
    from ubypass.bench.server import redis

    chosen = redis.select(tuple(args.command), tuple(args.size), tuple(args.pipeline))
    cases = redis.QUICK if _is_glance(args, "command", "size", "pipeline") else chosen
    if args.quick:
        args.requests //= _QUICK_PART
    # A pipeline makes a request so much cheaper that more of them are needed.
    deep = 2 * args.requests
    return [
        partial(redis.redis_server, case, deep if case.pipeline > 1 else args.requests)
        for case in cases
    ]


def _nginx(args: argparse.Namespace) -> list[_Start]:
    from ubypass.bench.server import nginx

    logs = () if args.log is None else (args.log == "on",)
    chosen = nginx.select(tuple(args.size), logs, tuple(args.workers))
    cases = nginx.QUICK if _is_glance(args, "size", "log", "workers") else chosen
    return [partial(nginx.nginx_server, case, args.seconds) for case in cases]


def _raw(args: argparse.Namespace) -> list[_Start]:
    from ubypass.bench.server import rawsocket

    chosen = rawsocket.select(tuple(args.size))
    cases = rawsocket.QUICK if _is_glance(args, "size") else chosen
    return [partial(rawsocket.raw_receiver, case, args.requests) for case in cases]


def _is_glance(args: argparse.Namespace, *options: str) -> bool:
    """Whether a quick look is asked for, and none of ``options`` says at what."""
    chosen = any(getattr(args, option) for option in options)
    return bool(args.quick) and not chosen


def _command() -> str:
    return shlex.join(["ub", *sys.argv[1:]])
