# SPDX-License-Identifier: GPL-2.0-only
"""``ub attach PID``: boost running programs until they end, or Ctrl-C."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ubypass.cli.options import add_options, caps, tunables
from ubypass.cli.stop import Stop
from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.process.status import ProcessId

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "attach"
HELP = "boost running programs until they end or you press Ctrl-C"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_options(parser)
    parser.add_argument(
        "processes",
        nargs="+",
        metavar="PROCESS",
        help="PID, name, program's path, UNIT.service or cgroup:PATH",
    )


def run(args: argparse.Namespace) -> int:
    """Attach, wait, detach; 0 however it ends."""
    from ubypass.cli.named import processes as named

    words = dict.fromkeys(args.processes)
    processes = dict.fromkeys(p for word in words for p in _identified(named(word)))
    from ubypass.cli.session import Session

    with (
        Session(
            tunables(args.tune),
            caps=caps(args.cap),
            quiet=args.quiet,
            record=args.record,
            model=args.model,
        ) as session,
        Stop(session) as stop,
    ):
        engine = session.engine
        assert engine is not None
        for process in processes:
            engine.watch_end(engine.attach(process, children=args.children))
        names = ", ".join(f"{p.pid} ({p.name})" for p in processes)
        session.log(f"attached to {names}; Ctrl-C detaches")
        engine.run(lambda: stop.asked or engine.is_over)
    session.report(as_json=args.json, file=args.summary_file, extra={})
    return 0


def _identified(pids: Sequence[int]) -> list[ProcessId]:
    """Of several those that can be boosted; raises ``UbError`` if none can."""
    from ubypass.process.status import identify

    found, errors = [], []
    for pid in pids:
        try:
            found.append(identify(pid))
        except UbError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found
