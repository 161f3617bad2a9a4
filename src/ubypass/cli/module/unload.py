# SPDX-License-Identifier: GPL-2.0-only
"""``ub module unload``: remove the module from the running kernel.

Engines are asked to detach their processes, which continue natively, and to close the
device. Threads that sleep in a system call since then keep the module. Those whose call
the kernel restarts are interrupted; others are named while ``ub`` waits for them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ubypass.cli.module.files import is_loaded
from ubypass.cli.options import seconds
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError
from ubypass.module.loading import remove_module, require_root

if TYPE_CHECKING:
    from ubypass.module.users import User

__all__ = ["VERB", "configure", "run"]

_PAUSE = 0.1  # seconds between attempts
_LOOK = 1.0  # seconds between looks at who is inside
_NAMED = 3  # users that are named, at most


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Unloads the module. Boosted programs are detached first and continue "
        "natively. Waits for programs that sleep in a system call inside the module, "
        "and names them; Ctrl-C ends the wait, and the module stays loaded."
    )
    parser.add_argument(
        "--seconds",
        type=seconds(0, 86_400),
        default=60.0,
        metavar="S",
        help="wait S seconds at most (default: %(default)g)",
    )
    parser.add_argument(
        "--if-unused",
        action="store_true",
        help="detach nothing: fail at once if an engine runs",
    )


def run(args: argparse.Namespace) -> int:
    """Unload the module; 0, also if it is not loaded. Raises UbError."""
    if not is_loaded():
        print("the module is not loaded")
        return 0
    require_root("unload")
    if not remove_module(b"ub"):
        with progress("module") as report:
            if args.if_unused:
                _require_unused()
            _wait(args.seconds, report, asks=not args.if_unused)
    print("unloaded")
    return 0


def _require_unused() -> None:
    from ubypass.module.users import openers

    if found := list(openers()):
        raise UbError(
            f"cannot unload the module: {_text(found)}",
            "without --if-unused, their processes are detached",
        )


def _detach(report: Callable[[str], None]) -> bool:
    """Ask all engines to detach their processes and to close the device.

    Whether it is worth asking again: all have answered.
    """
    from ubypass.engine.control import ask_all

    try:
        answers, silent = ask_all({"ask": "leave"})
    except UbError as error:
        # Engines of an older version do not know the request.
        report(f"engines do not detach their processes: {error.message}")
        return False
    if answers:
        count = sum(answer["processes"] for answer in answers)
        report(f"engines that detach their processes: {len(answers)} ({count})")
    for each in silent:
        report(each.message)
    return not silent


def _wait(limit: float, report: Callable[[str], None], *, asks: bool) -> None:
    """Try until the module is unloaded. Raises UbError after ``limit`` seconds.

    ``asks``: engines are asked to leave, also those that begin meanwhile.
    """
    end = time.monotonic() + limit
    asks = asks and _detach(report)
    said, look = "", time.monotonic() + _LOOK
    while not remove_module(b"ub"):
        now = time.monotonic()
        if now >= end:
            raise UbError(
                f"cannot unload the module: {_who()}",
                "run it again once they have ended, or their calls have returned",
            )
        if now >= look:
            look = now + _LOOK
            asks = asks and _detach(report)
            _restart()
            who = _who()
            if who != said:
                report(who)
            said = who
        time.sleep(_PAUSE)


def _restart() -> None:
    """Wake threads that may sleep in their call for ever, and do not notice it."""
    from ubypass.module.restart import restart
    from ubypass.module.users import threads_inside

    restart(threads_inside())


def _who() -> str:
    """Who keeps the module, for people."""
    from ubypass.module.users import openers, threads_inside

    return _text([*openers(), *threads_inside()])


def _text(users: Sequence[User]) -> str:
    if not users:
        return "it is in use"
    more = len(users) - _NAMED
    named = ", ".join(map(str, users[:_NAMED]))
    return f"in use: {named}" + (f", and {more} more" if more > 0 else "")


VERB = Verb("unload", "remove the module from the running kernel", configure, run)
