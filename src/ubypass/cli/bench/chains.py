# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench chains``: the time that boosting saves on this processor, by replays."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.cli.bench.options import command_line
from ubypass.cli.failure import explained, print_error
from ubypass.cli.options import (
    PROCESS,
    TRANSLATE_TRUSTED,
    add_json_file,
    add_model,
    add_trust,
    whole,
)
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError, UsageError

if TYPE_CHECKING:
    from ubypass.bench.chains.capture import Wish
    from ubypass.bench.chains.decisions import Decisions
    from ubypass.bench.chains.figures import Figures
    from ubypass.bench.chains.snapshot import Capture
    from ubypass.bench.chains.subjects import Subject

__all__ = ["VERB", "configure", "run"]

_SUBJECTS = (
    *("getppid", "loop", "redis-get", "redis-get-1k", "redis-set", "redis-set-1k"),
    *("nginx", "nginx-log", "lighttpd", "memcached", "rawsocket", "dd"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.description = (
        "Captures a chain of system calls of a busy program with ptrace, translates "
        "the code between the calls, and replays the chain on this CPU with real "
        "system calls, alternating native and translated runs. Compares all memory. "
        "Needs neither the module nor the lab; needs root if users may not trace. "
        "Subjects are started and ended; processes of --pid continue to run."
    )
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=", ".join(_SUBJECTS)
    )
    parser.add_argument(
        "--pid", metavar="PROCESS", help=f"capture busy processes: {PROCESS}"
    )
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        metavar="DIRECTORY",
        help="replay a capture made with --save, here or on another machine",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIRECTORY",
        help="keep the captures there; they contain all memory of the programs",
    )
    add_json_file(parser)
    parser.add_argument(
        "--calls",
        type=whole(1, 4096),
        metavar="N",
        help="system calls in a chain (default: 110)",
    )
    parser.add_argument(
        "--repetitions",
        type=whole(1, 1 << 20),
        default=100,
        metavar="N",
        help="repetitions of each chain in each mode (default: %(default)s)",
    )
    parser.add_argument(
        "--longest",
        type=whole(1, 1 << 20),
        default=1 << 20,
        metavar="N",
        help="leave gaps of more than N instructions native",
    )
    add_model(
        parser,
        "compare the decisions of this model, and of an engine that decides by it, "
        "with the replay (default: the model of this processor, and an engine that "
        "measures)",
    )
    parser.add_argument(
        "--chosen",
        action="store_true",
        help="leave gaps native that lose according to the model",
    )
    add_trust(parser, TRANSLATE_TRUSTED)
    parser.add_argument(
        "--candidates",
        type=whole(1, 64),
        metavar="N",
        help="translate up to N targets of an indirect branch (default: as in the "
        "engine)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and show.

    1 if a translation changed what a program computes, or if a chain of several could
    not be captured or replayed. Raises UbError if that holds for all of them.
    """
    with progress("bench") as log:
        return _measure(args, log)


def _measure(args: argparse.Namespace, log: Callable[[str], None]) -> int:
    from ubypass import processor
    from ubypass.bench.chains import report
    from ubypass.bench.chains.decisions import as_json, decide
    from ubypass.bench.chains.figures import figures
    from ubypass.bench.chains.isolation import isolation_of
    from ubypass.bench.chains.job import Plan
    from ubypass.bench.chains.replay import replay, usable_processor
    from ubypass.bench.chains.translation import Bounds
    from ubypass.bench.records import today, write_json
    from ubypass.cost.model import model_of
    from ubypass.engine.admission import AdmissionPolicy
    from ubypass.engine.build import CANDIDATES

    _check(args)
    plan = Plan(repetitions=args.repetitions, processor=usable_processor())
    model = model_of(args.model)
    # As in a session of the engine.
    model_decides = args.model is not None or processor.is_emulated()
    policy = AdmissionPolicy(model, model_decides=model_decides)
    bounds = Bounds(
        longest=args.longest,
        candidates=args.candidates or CANDIDATES,
        model=model if args.chosen else None,
        trusted=args.trust,
    )
    found: list[tuple[Figures, Decisions | None]] = []
    failed: list[UbError] = []
    for captured in _captures(args, log):
        try:
            with captured as capture:
                one = figures(replay(capture, plan, bounds, log), processor.describe())
                one = replace(
                    one,
                    command=command_line(),
                    date=today(),
                    isolation=isolation_of(model, capture.origin.isolated),
                )
                found.append((one, decide(capture, one, policy)))
        except (UbError, OSError) as error:
            failed.append(error if isinstance(error, UbError) else explained(error))
            continue
        if args.json is not None:
            write_json(args.json, [as_json(*each) for each in found])
    for each in failed if found else failed[:-1]:
        print_error(each)
    if failed and not found:
        raise failed[-1]
    report.show(found)
    return 1 if failed or any(one.wrong_words for one, _ in found) else 0


def _check(args: argparse.Namespace) -> None:
    unknown = [name for name in args.subjects if name not in _SUBJECTS]
    if unknown:
        raise UsageError(
            f"there is no subject {unknown[0]!r}", f"choose from {', '.join(_SUBJECTS)}"
        )
    if not (args.subjects or args.pid is not None or args.replay):
        raise UsageError(
            "nothing to capture or replay",
            f"name a subject ({', '.join(_SUBJECTS)}), or use --pid or --replay",
        )


def _captures(
    args: argparse.Namespace, log: Callable[[str], None]
) -> Iterator[AbstractContextManager[Capture]]:
    """One capture after another, made when it is entered, and deleted unless kept."""
    from ubypass.bench.chains import subjects
    from ubypass.bench.chains.capture import Wish
    from ubypass.cli.named import processes

    pids = [] if args.pid is None else processes(args.pid)
    for folder in args.replay or ():
        yield _loaded(folder)
    wanted: list[tuple[str, Callable[[], Subject]]] = [
        (name, partial(subjects.subject, name)) for name in args.subjects
    ]
    wanted += [(f"pid-{pid}", partial(subjects.process, pid, Wish())) for pid in pids]
    for name, make in wanted:
        yield _captured(make, args, name, log)


@contextlib.contextmanager
def _loaded(folder: Path) -> Iterator[Capture]:
    from ubypass.bench.chains.snapshot import load

    yield load(folder)


@contextlib.contextmanager
def _captured(
    make: Callable[[], Subject],
    args: argparse.Namespace,
    name: str,
    log: Callable[[str], None],
) -> Iterator[Capture]:
    from ubypass.bench.chains.subjects import captured

    subject = make()
    subject = replace(subject, wish=_wished(subject.wish, args.calls))
    with _place(args.save, name) as folder:
        yield captured(subject, folder, log)


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
            f"cannot save to {folder}: {error.strerror}", "use a new directory"
        ) from error
    yield folder


VERB = Verb(
    "chains",
    "replay chains of system calls of real programs on this CPU",
    configure,
    run,
)
