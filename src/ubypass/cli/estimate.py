# SPDX-License-Identifier: GPL-2.0-only
"""``ub estimate``: the saving by boosting a program, before a module is loaded.

The program continues to run; the cost of the observation is bounded and reported.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from ubypass.cli.failure import print_error
from ubypass.cli.forwarding import Forwarding
from ubypass.cli.in_turn import in_turn, print_matches
from ubypass.cli.launch import Launch
from ubypass.cli.options import PROCESS, add_json, add_model, seconds
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError, UsageError

if TYPE_CHECKING:
    from ubypass.cost.model import Model
    from ubypass.estimate.estimate import Estimate
    from ubypass.process.status import ProcessId

__all__ = ["VERB", "configure", "run"]


_SECONDS = 10.0
_MACHINE_SECONDS = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = (
        "ub estimate [-h] [--json] [--seconds N] [--children] [--model NAME]\n"
        "                   [--anyway] [PROCESS | -- COMMAND...]"
    )
    parser.add_argument(
        "pid",
        nargs="?",
        metavar="PROCESS",
        help=f"a running process: {PROCESS}",
    )
    add_json(parser)
    parser.add_argument(
        "--seconds",
        type=seconds(0.5, 3600),
        metavar="N",
        help=f"duration of the observation (default: {_SECONDS:g}; of the whole "
        f"machine: {_MACHINE_SECONDS:g}); a longer one is more precise",
    )
    parser.add_argument(
        "--children", action="store_true", help="observe child processes as well"
    )
    add_model(parser, "estimate for this processor (default: the present one)")
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="estimate even if the process cannot be boosted at present",
    )
    parser.epilog = (
        "-- COMMAND starts a program, which runs to its end. Without a process and a "
        "command, all processes of the machine are ranked by their possible savings."
    )
    parser.set_defaults(command=None)
    _split_off_command(parser)


def _split_off_command(parser: argparse.ArgumentParser) -> None:
    """Arguments after ``--`` are the command; options may follow a PID."""
    parse = parser.parse_known_args

    def split(words: Sequence[str], namespace: Any = None) -> tuple[Any, list[str]]:
        mine = list(words)
        command = None
        if "--" in mine:
            at = mine.index("--")
            mine, command = mine[:at], mine[at + 1 :]
        found, rest = parse(mine, namespace)
        found.command = command
        return found, rest

    setattr(parser, "parse_known_args", split)  # noqa: B010


def run(args: argparse.Namespace) -> int:
    """Observe and print the estimate; 0 unless no estimate is possible."""
    if args.command is not None and args.pid is not None:
        raise UsageError("both a process and a command given", "give only one of them")
    if args.command is not None and not args.command:
        raise UsageError(
            "no command given", "usage: ub estimate -- COMMAND [ARGUMENT]..."
        )
    whole = args.command is None and args.pid is None
    if args.seconds is None:
        args.seconds = _MACHINE_SECONDS if whole else _SECONDS
    pids = None if args.pid is None else _named(args.pid)
    from ubypass.cost.model import model_of
    from ubypass.process.namespace import require_own_proc

    require_own_proc()
    if whole:
        return _rank(args, model_of(args.model))
    if pids is None:
        return _run_command(args, model_of(args.model))
    if len(pids) == 1:
        _, found = _one(pids[0], args, model_of(args.model))
        _print(found, args, sys.stdout)
        return 0
    return 0 if _several(pids, args, model_of(args.model)) else 1


def _named(word: str) -> list[int]:
    from ubypass.cli.named import processes

    return processes(word)


def _several(pids: Sequence[int], args: argparse.Namespace, model: Model) -> bool:
    """One estimate after another; whether all succeeded. Raises UbError if none did."""
    from ubypass.estimate.estimate import ESTIMATE_VERSION

    print(
        f"ub: {args.pid!r} matches {len(pids)} processes: {args.seconds:g} s for each",
        file=sys.stderr,
        flush=True,
    )
    estimated: list[dict[str, Any]] = []

    def estimate(pid: int) -> None:
        process, found = _one(pid, args, model)
        if not args.json:
            if estimated:
                print()
            print(f"Process {process.pid} ({process.name}):")
            _print(found, args, sys.stdout)
        estimated.append({"pid": process.pid, "name": process.name, **found.as_json()})

    good = in_turn(pids, estimate)
    if args.json:
        print_matches(ESTIMATE_VERSION, estimated)
    return good


def _one(
    pid: int, args: argparse.Namespace, model: Model
) -> tuple[ProcessId, Estimate]:
    from ubypass.process.status import identify, is_alive

    process = identify(pid)
    _require_open(process.pid, process.name, anyway=args.anyway)
    return process, _estimate(args, process.pid, model, lambda: not is_alive(process))


def _rank(args: argparse.Namespace, model: Model) -> int:
    """The whole machine; 0 also if boosting pays for no process."""
    from ubypass.estimate.machine import rank
    from ubypass.estimate.rates import Tracepoints

    source = Tracepoints()
    try:
        found = rank(args.seconds, model, source)
    finally:
        source.close()
    if args.json:
        print(json.dumps(found.as_json(), indent=1))
        return 0
    from ubypass.cli.estimate_report import show_ranking

    show_ranking(found, sys.stdout)
    return 0


def _run_command(args: argparse.Namespace, model: Model) -> int:
    """Start the command, observe it, and wait for its end; messages go to stderr."""
    with Forwarding() as signals:
        launch = Launch(args.command)
        child = launch.child
        signals.set_child(child)
        try:
            launch.go()
            code = 0
            try:
                found = _estimate(
                    args, child.pid, model, lambda: child.poll() is not None
                )
                with _ignoring_a_closed_stderr():
                    _print(found, args, sys.stderr)
            except UbError as error:
                print_error(error)
                code = error.exit_code
        finally:
            launch.go()
            # In any case the program continues.
            child.wait()
    return code


@contextlib.contextmanager
def _ignoring_a_closed_stderr() -> Iterator[None]:
    with contextlib.suppress(OSError, ValueError):
        yield


def _require_open(pid: int, name: str, *, anyway: bool) -> None:
    """Raise UbError if the process cannot be observed, or would not be boosted."""
    from ubypass.estimate.reasons import declined, tracer

    who = f"process {pid} ({name})"
    by = tracer(pid)
    if by:
        raise UbError(
            f"{who} is being traced by process {by}",
            "end strace or detach the debugger: a process can have only one tracer",
        )
    reasons = declined(pid)
    if reasons and not anyway:
        raise UbError(
            f"{who} would not be boosted: {reasons[0].text}",
            f"{reasons[0].hint}; or estimate nevertheless with --anyway",
        )


def _estimate(
    args: argparse.Namespace, pid: int, model: Model, is_over: Callable[[], bool]
) -> Estimate:
    from ubypass.estimate.estimate import estimate
    from ubypass.process.status import descendants

    def pids() -> list[int]:
        return [pid, *descendants(pid)] if args.children else [pid]

    def progress(line: str) -> None:
        with _ignoring_a_closed_stderr():
            print(f"ub: {line}", file=sys.stderr, flush=True)

    return estimate(pids, args.seconds, model, is_over, progress)


def _print(found: Estimate, args: argparse.Namespace, out: IO[str]) -> None:
    if args.json:
        print(json.dumps(found.as_json(), indent=1), file=out, flush=True)
        return
    from ubypass.cli.estimate_report import show

    show(found, out)


VERB = Verb(
    "estimate",
    "estimate what boosting a program would save, without the module",
    configure,
    run,
)
