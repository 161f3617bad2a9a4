# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench server``: real servers under load, native, boosted and native again."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.cli.bench.options import add_quick, add_runs, add_size, command_line
from ubypass.cli.options import add_json_file, add_trust, seconds, whole
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.bench.server.beside import Beside
    from ubypass.bench.server.measure import Plan, Server, Setting
    from ubypass.bench.server.redis import RedisCase

__all__ = ["VERB", "configure", "run"]

_Report = Callable[[str], None]


#: Divisor of the load in a quick look. The server has to settle as in any other
#: measurement: as long as the engine tries gaps, losing ones are dispatched, too.
_QUICK_PART = 3

#: Runs of a quick look, an odd number: of two runs the median is the mean, and one look
#: of the engine (2 to 4 million instructions) is 2 to 5 percent of a run of 90 ms.
_QUICK_RUNS = 3

#: Starts the server of a case.
_Start = Callable[[], "AbstractContextManager[Server]"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add a verb for each server."""
    parser.description = (
        "Starts a server and a load generator, and measures the server's CPU time per "
        "request natively, boosted and natively again. Checks every reply. Needs root "
        "and the modules, which are loaded automatically in the lab."
    )
    servers = parser.add_subparsers(dest="server", required=True, metavar="SERVER")
    redis = servers.add_parser(
        "redis",
        help="redis-server under redis-benchmark",
        description="GET and SET with values of 1, 16, 64, 256, 1024, 4096 and 16384 "
        "bytes, 50 clients, without pipelining and with pipelines of 16. Options "
        "select some of these cases; --size takes every power of two up to 16384.",
    )
    redis.add_argument(
        "--command",
        action="append",
        choices=("GET", "SET"),
        default=[],
        help="only this command; may be repeated",
    )
    redis.add_argument(
        "--pipeline",
        action="append",
        type=whole(1),
        default=[],
        metavar="N",
        help="only pipelines of N requests; may be repeated",
    )
    redis.add_argument(
        "--tarball",
        type=Path,
        metavar="TARBALL",
        help="a redis-server built from the tarball of a release, such as "
        "redis-6.2.6.tar.gz, instead of the system's; built once (make, gcc, no "
        "network). In the lab it has to be built before, on the host: ub bench prepare "
        "--redis TARBALL",
    )
    redis.add_argument(
        "--beside",
        choices=("fstack",),
        help="also measure redis on F-Stack, which must be installed; on a virtual "
        "device of DPDK, over vhost-net and a TAP, unless --fstack-config is given: a "
        "virtual device is not kernel bypass: packets still pass the kernel's TAP",
    )
    redis.add_argument(
        "--fstack",
        type=Path,
        metavar="DIRECTORY",
        help="the build tree of F-Stack (default: $FF_PATH, or /data/f-stack)",
    )
    redis.add_argument(
        "--fstack-config",
        type=Path,
        metavar="FILE",
        help="F-Stack's config.ini for a network card that you gave to DPDK",
    )
    nginx = servers.add_parser(
        "nginx",
        help="nginx under wrk",
        description="Static files of 1 to 256 KiB, with and without an access log, one "
        "and two workers. Options select some of these cases.",
    )
    nginx.add_argument(
        "--log", choices=("on", "off"), help="the access log (default: both)"
    )
    nginx.add_argument(
        "--workers",
        action="append",
        type=whole(1),
        default=[],
        metavar="N",
        help="only N worker processes; may be repeated",
    )
    nginx.add_argument(
        "--seconds",
        type=seconds(0.01, 3600),
        default=0.4,
        metavar="S",
        help="duration of a run (default: %(default)g)",
    )
    raw = servers.add_parser(
        "rawsocket",
        help="a receiver of UDP packets on a raw socket",
        description="A loop of recvfrom on a raw socket, with and without summing the "
        "data, and a sender. Measures the time per packet.",
    )
    for each, requests in (redis, 12_000), (raw, 10_000):
        each.add_argument(
            "--requests",
            type=whole(1),
            default=requests,
            metavar="N",
            help="requests in a run (default: %(default)s)",
        )
    papers = {
        redis: "GET and SET of 1, 2, 4 ... 16384 bytes without pipelining, one run to "
        "warm up and ten that are measured",
        nginx: "a configuration like that of its artifact: one pinned worker, port "
        "8088, no log unless --log on; one run to warm up and ten that are measured",
    }
    for each, sized in (
        (redis, "values of N bytes"),
        (nginx, "files of N KiB"),
        (raw, "packets of N bytes"),
    ):
        add_size(each, f"only {sized}")
        add_json_file(each)
        each.add_argument(
            "--builds",
            type=Path,
            metavar="DIRECTORY",
            help="record the builds there, for 'ub bench replay'",
        )
        how = each.add_mutually_exclusive_group()
        add_quick(how, "few runs, and one case unless options select cases")
        add_runs(how)
        if each in papers:
            how.add_argument(
                "--as-paper",
                action="store_true",
                help=f"as in the paper on Userspace Bypass: {papers[each]}; means and "
                "standard deviations, too",
            )
        each.add_argument(
            "--cycles",
            type=whole(1),
            default=1,
            metavar="N",
            help="attach and detach N times (default: %(default)s)",
        )
        each.add_argument(
            "--tune",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a tunable, passed to 'ub attach' (see 'ub module status')",
        )
        add_trust(each, "attach the server with --trust, see 'ub attach --help'")


def run(args: argparse.Namespace) -> int:
    """Measure and show; 1 if a reply was wrong."""
    with progress("bench") as report:
        return _measure(args, report)


def _measure(args: argparse.Namespace, report: _Report) -> int:
    from ubypass.bench import machine, modules
    from ubypass.bench.server.measure import Setting, measure
    from ubypass.bench.server.record import ServerRecord, write_server_records
    from ubypass.bench.server.report import show
    from ubypass.bench.transition import measure_transition

    modules.ensure_loaded(report, f"ub lab run --icount -- {command_line()}")
    starts = _starts(args, report)
    here = machine.describe()
    setting = Setting(
        here,
        measure_transition(here),
        command_line(),
        tuple(f"--tune={word}" for word in args.tune),
        _emptied(args.builds),
        args.trust,
    )
    plan = _plan(args)
    records: list[ServerRecord] = []
    began = time.monotonic()
    for number, start in enumerate(starts, 1):

        def report_step(step: str, number: int = number) -> None:
            spent = time.monotonic() - began
            times = _times(spent, number, len(starts))
            report(f"[{number}/{len(starts)}, {times}] {step}")

        with start() as server:
            records.append(measure(server, plan, setting, report_step))
        if args.json is not None:
            write_server_records(args.json, records)
    rivals = _beside(args, plan, setting, report)
    if rivals and args.json is not None:
        write_server_records(args.json, records, [each.as_json() for each in rivals])
    show(records, beside=rivals)
    wrong = sum(each.wrong for each in records) + sum(each.wrong for each in rivals)
    return 1 if wrong else 0


def _beside(
    args: argparse.Namespace, plan: Plan, setting: Setting, report: _Report
) -> list[Beside]:
    """The same cases on the rivals that were asked for."""
    if getattr(args, "beside", None) is None:
        return []
    from ubypass.bench.server import fstack

    installed: fstack.Installed | str
    try:
        installed = fstack.find(args.fstack, args.fstack_config)
    except UbError as error:
        installed = error.message
    found = []
    for case in _redis_cases(args):
        report(f"redis {case} on {fstack.NAME}")
        found.append(fstack.measure(installed, case, args.requests, plan, setting))
    return found


def _plan(args: argparse.Namespace) -> Plan:
    from ubypass.bench.server.measure import AS_PAPER, Plan

    if args.quick:
        return Plan(runs=_QUICK_RUNS)
    if _as_paper(args):
        return replace(AS_PAPER, cycles=args.cycles)
    return Plan(runs=args.runs, cycles=args.cycles)


def _emptied(directory: Path | None) -> Path | None:
    """The directory, without recordings of earlier measurements. Raises UbError."""
    if directory is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("*.builds"):
            old.unlink()
    except OSError as error:
        raise UbError(
            f"cannot write to {directory}: {error.strerror}",
            "name another directory with --builds",
        ) from error
    return directory.resolve()


def _times(spent: float, number: int, count: int) -> str:
    """The time so far and an estimate of the rest, by the machine's clock."""
    if number == 1:
        return f"{spent:.0f} s"
    each = spent / (number - 1)
    return f"{spent:.0f} s of about {each * count:.0f} s"


def _starts(
    args: argparse.Namespace, report: _Report = lambda step: None
) -> Sequence[_Start]:
    """Functions that start the server of each chosen case."""
    if args.server == "redis":
        return _redis(args, report)
    if args.server == "nginx":
        return _nginx(args)
    return _raw(args)


def _redis_cases(args: argparse.Namespace) -> tuple[RedisCase, ...]:
    from ubypass.bench.server import redis

    wanted = tuple(args.command), tuple(args.size), tuple(args.pipeline)
    chosen = redis.select(*wanted, args.as_paper)
    return redis.QUICK if _is_glance(args, "command", "size", "pipeline") else chosen


def _redis(args: argparse.Namespace, report: _Report) -> list[_Start]:
    from ubypass.bench.server import redis

    cases = _redis_cases(args)
    command = _from_tarball(args.tarball, report)
    if args.quick:
        args.requests //= _QUICK_PART
    # More requests in a pipeline, where each is much cheaper.
    deep = 2 * args.requests
    return [
        partial(
            redis.redis_server,
            case,
            deep if case.pipeline > 1 else args.requests,
            command=command,
        )
        for case in cases
    ]


def _from_tarball(tarball: Path | None, report: _Report) -> tuple[str, ...]:
    """The command of the redis built from ``tarball``; empty without one.

    Raises UbError if it cannot be built, or in the lab, if it was not.
    """
    if tarball is None:
        return ()
    from ubypass.bench.modules import in_lab
    from ubypass.bench.server.tarball import build_redis, built_redis

    if in_lab() and built_redis(tarball) is None:
        raise UbError(
            f"{tarball} has not been built yet, and compiling in the lab is slow",
            f"on the host: ub bench prepare --redis {tarball}",
        )
    return (str(build_redis(tarball, report)),)


def _nginx(args: argparse.Namespace) -> list[_Start]:
    from ubypass.bench.server import nginx

    logs = () if args.log is None else (args.log == "on",)
    wanted = tuple(args.size), logs, tuple(args.workers)
    chosen = nginx.select(*wanted, args.as_paper)
    cases = nginx.QUICK if _is_glance(args, "size", "log", "workers") else chosen
    return [partial(nginx.nginx_server, case, args.seconds) for case in cases]


def _raw(args: argparse.Namespace) -> list[_Start]:
    from ubypass.bench.server import rawsocket

    chosen = rawsocket.select(tuple(args.size))
    cases = rawsocket.QUICK if _is_glance(args, "size") else chosen
    return [partial(rawsocket.raw_receiver, case, args.requests) for case in cases]


def _as_paper(args: argparse.Namespace) -> bool:
    """Whether ``--as-paper`` is given; not every server has it."""
    return bool(getattr(args, "as_paper", False))


def _is_glance(args: argparse.Namespace, *options: str) -> bool:
    """Whether a quick look is wanted and none of ``options`` chooses its cases."""
    chosen = any(getattr(args, option) for option in options)
    return bool(args.quick) and not chosen


VERB = Verb("server", "measure real servers under load", configure, run)
