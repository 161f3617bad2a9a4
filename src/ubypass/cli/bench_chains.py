# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench chains``: what boosting saves on this processor, by replaying."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.cli.options import out_file, whole
from ubypass.errors import UbError, UsageError

if TYPE_CHECKING:
    from ubypass.bench.chains.capture import Wish
    from ubypass.bench.chains.decisions import Decisions
    from ubypass.bench.chains.figures import Figures
    from ubypass.bench.chains.snapshot import Capture

__all__ = ["HELP", "configure", "run"]

HELP = "chains of system calls of real programs, replayed on this CPU"

_SUBJECTS = (
    *("getppid", "loop", "redis-get", "redis-get-1k", "redis-set", "redis-set-1k"),
    *("nginx", "nginx-log", "rawsocket"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.description = (
        "Captures a chain of system calls of a busy program by ptrace, translates what "
        "runs between them, and replays the chain on this CPU, natively and translated "
        "by turns, with real system calls in between. Compares all memory. Needs no "
        "module and no lab; root where the system does not let users trace. Starts "
        "the subjects it names and ends them; the process given by --pid goes on."
    )
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=", ".join(_SUBJECTS)
    )
    parser.add_argument(
        "--pid", type=whole(1), metavar="PID", help="a process that is busy"
    )
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        metavar="DIRECTORY",
        help="a capture that --save made, here or elsewhere",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIRECTORY",
        help="keep the captures below it; they hold all memory of the programs",
    )
    parser.add_argument(
        "--json", type=out_file, metavar="FILE", help="write figures there"
    )
    parser.add_argument(
        "--calls", type=whole(1, 4096), metavar="N", help="of a chain (default 110)"
    )
    parser.add_argument(
        "--repetitions",
        type=whole(1, 1 << 20),
        default=100,
        metavar="N",
        help="of each chain in each mode (default 100)",
    )
    parser.add_argument(
        "--longest",
        type=whole(1, 1 << 20),
        default=1 << 20,
        metavar="N",
        help="leave gaps of more instructions native",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="the model of cost/models.toml whose decisions are held against the "
        "replay (default: that of this processor)",
    )
    parser.add_argument(
        "--chosen",
        action="store_true",
        help="leave native what the model finds likely to lose",
    )
    parser.add_argument(
        "--candidates",
        type=whole(1, 64),
        metavar="N",
        help="targets of one indirect branch that are translated (default: as the "
        "engine)",
    )


def run(args: argparse.Namespace, progress: Callable[[str], None]) -> int:
    """Do it. 1 if a translation changed what a program computes."""
    from ubypass import processor
    from ubypass.bench.chains import report
    from ubypass.bench.chains.decisions import as_json, decide
    from ubypass.bench.chains.figures import figures
    from ubypass.bench.chains.job import Plan
    from ubypass.bench.chains.replay import replay, usable_processor
    from ubypass.bench.chains.translation import Bounds
    from ubypass.bench.records import write_json
    from ubypass.cost.model import model_of
    from ubypass.engine.build import CANDIDATES

    _check(args)
    plan = Plan(repetitions=args.repetitions, processor=usable_processor())
    model = model_of(args.model)
    bounds = Bounds(
        longest=args.longest,
        candidates=args.candidates or CANDIDATES,
        model=model if args.chosen else None,
    )
    found: list[tuple[Figures, Decisions | None]] = []
    for capture in _captures(args, progress):
        one = figures(replay(capture, plan, bounds, progress), processor.describe())
        found.append((one, decide(capture, one, model)))
        if args.json is not None:
            write_json(args.json, [as_json(*each) for each in found])
    report.show(found)
    return 1 if any(one.wrong_words for one, _ in found) else 0


def _check(args: argparse.Namespace) -> None:
    unknown = [name for name in args.subjects if name not in _SUBJECTS]
    if unknown:
        raise UsageError(
            f"there is no subject {unknown[0]!r}", f"there are {', '.join(_SUBJECTS)}"
        )
    if not (args.subjects or args.pid is not None or args.replay):
        raise UsageError(
            "nothing to capture or replay",
            f"name a subject ({', '.join(_SUBJECTS)}), or give --pid or --replay",
        )


def _captures(
    args: argparse.Namespace, progress: Callable[[str], None]
) -> Iterator[Capture]:
    """One after the other; those that are not kept are gone when the next one comes."""
    from ubypass.bench.chains import subjects
    from ubypass.bench.chains.capture import Wish
    from ubypass.bench.chains.snapshot import load

    for folder in args.replay or ():
        yield load(folder)
    wanted = [(name, subjects.subject(name)) for name in args.subjects]
    if args.pid is not None:
        wanted.append((f"pid-{args.pid}", subjects.process(args.pid, Wish())))
    for name, one in wanted:
        with _place(args.save, name) as folder:
            wish = _wished(one.wish, args.calls)
            yield subjects.captured(replace(one, wish=wish), folder, progress)


def _wished(wish: Wish, calls: int | None) -> Wish:
    return wish if calls is None else replace(wish, calls=calls)


@contextlib.contextmanager
def _place(save: Path | None, name: str) -> Iterator[Path]:
    from ubypass.bench.chains.subjects import scratch

    if save is None:
        with scratch() as folder:
            yield folder
        return
    folder = save / name
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise UbError(
            f"cannot save to {folder}: {error.strerror}", "give a new directory"
        ) from error
    yield folder
