# SPDX-License-Identifier: GPL-2.0-only
"""``ub attach PID``: boost running programs until they end, or Ctrl-C."""

from __future__ import annotations

import argparse

from ubypass.cli.options import add_options, caps, number, tunables
from ubypass.cli.stop import Stop

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "attach"
HELP = "boost running programs until they end or you press Ctrl-C"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_options(parser)
    parser.add_argument("pids", nargs="+", metavar="PID", help="a process id")


def run(args: argparse.Namespace) -> int:
    """Attach, wait, detach; 0 however it ends."""
    from ubypass.process.status import identify

    processes = [identify(number(word)) for word in dict.fromkeys(args.pids)]
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
