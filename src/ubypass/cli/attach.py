# SPDX-License-Identifier: GPL-2.0-only
"""``ub attach PID``: boost running programs until they end, or Ctrl-C.

If the service runs, its engine boosts them, else one of this command.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ubypass.cli.engine_options import add_engine_options, caps, tunables
from ubypass.cli.options import PROCESS
from ubypass.cli.stop import Stop
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.cli.session import Session
    from ubypass.process.status import ProcessId

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_engine_options(parser)
    parser.add_argument(
        "processes",
        nargs="+",
        metavar="PROCESS",
        help=PROCESS,
    )


def run(args: argparse.Namespace) -> int:
    """Attach, wait, detach; 0 also after Ctrl-C. Raises UbError."""
    from ubypass.cli.named import processes as named

    words = dict.fromkeys(args.processes)
    processes = dict.fromkeys(p for word in words for p in _identified(named(word)))
    from ubypass.cli import served

    if (client := served.service_for(args)) is not None:
        return served.attach(client, args, list(processes))
    from ubypass.cli.session import Session

    with (
        Session(
            tunables(args.tune),
            caps=caps(args.cap),
            quiet=args.quiet,
            record=args.record,
            model=args.model,
            trust=args.trust,
        ) as session,
        Stop(session.loop) as stop,
    ):
        engine = session.loop
        attached = _attached(session, processes, children=args.children)
        names = ", ".join(f"{p.pid} ({p.name})" for p in attached)
        session.log(f"attached to {names}; Ctrl-C detaches")
        engine.run(lambda: stop.asked or session.leaving or engine.is_over)
    session.report(as_json=args.json, file=args.summary_file, extra={})
    return 0


def _identified(pids: Sequence[int]) -> list[ProcessId]:
    """Those of ``pids`` that can be boosted; raises ``UbError`` if there are none."""
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


def _attached(
    session: Session, processes: Iterable[ProcessId], *, children: bool
) -> list[ProcessId]:
    """Attach those of ``processes`` that can be; raises ``UbError`` if none can.

    One that ends meanwhile does not keep the others native.
    """
    engine = session.loop
    attached, errors = [], []
    for process in processes:
        try:
            engine.watch_end(engine.attach(process, children=children))
            attached.append(process)
        except UbError as error:
            errors.append(error)
    if not attached:
        raise errors[0]
    for each in errors:
        session.log(each.message)
    return attached


VERB = Verb(
    "attach",
    "boost running programs until they end or you press Ctrl-C",
    configure,
    run,
)
