# SPDX-License-Identifier: GPL-2.0-only
"""``ub run -- COMMAND``: start a program and boost it until it ends.

The program shares the terminal, the files and the process group of ``ub``, which
returns its exit code. If the engine fails the program continues natively. If the
service runs, its engine boosts the program, else one of this command. With
``--children`` ``ub`` runs as long as any descendant of the program.
"""

from __future__ import annotations

import argparse
import os
import time
import traceback
from typing import TYPE_CHECKING

from ubypass.cli.engine_options import add_engine_options, caps, tunables
from ubypass.cli.forwarding import Forwarding
from ubypass.cli.launch import Launch
from ubypass.cli.stop import Stop
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError, UsageError

if TYPE_CHECKING:
    from ubypass.cli.session import Session

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_engine_options(parser)
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="-- COMMAND",
        help="the program and its arguments",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code, or 128 plus the signal that ended it."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise UsageError("no command given", "usage: ub run -- COMMAND [ARGUMENT]...")
    from ubypass.cli import served

    if (client := served.service_for(args, goes_on=True)) is not None:
        return served.run(client, args, command)
    from ubypass.cli.session import Session

    with Session(
        tunables(args.tune),
        caps=caps(args.cap),
        quiet=args.quiet,
        record=args.record,
        model=args.model,
        trust=args.trust,
    ) as session:
        began = time.monotonic_ns()
        with Forwarding() as signals:
            launch = Launch(command)
            child = launch.child
            signals.set_child(child)
            try:
                _boost(session, launch, began, children=args.children)
            except Exception as error:
                # A bug of ub must not affect the program.
                if os.environ.get("UBYPASS_DEBUG"):
                    traceback.print_exc()
                what = f"{type(error).__name__}: {error}"
                session.log(f"internal error, the program continues natively: {what}")
                session.close()
            finally:
                launch.go()
            # Whoever wants to unload the module does not wait for a native program.
            if session.leaving or not args.children:
                session.close()
            status = child.wait()
            if args.children:
                _stay(session, child.pid, command[0])
    code = status if status >= 0 else 128 - status
    session.report(
        as_json=args.json,
        file=args.summary_file,
        extra={
            "command": command,
            "exit_code": code,
            "seconds": (time.monotonic_ns() - began) / 1e9,
        },
    )
    return code


def _boost(session: Session, launch: Launch, began: int, *, children: bool) -> None:
    """Boost the program until it ends."""
    from ubypass.process.status import identify

    engine = session.engine
    assert engine is not None
    child = launch.child
    ended = False
    pidfd = os.pidfd_open(child.pid)

    def end() -> None:
        nonlocal ended
        ended = True

    engine.watch(pidfd, end)
    try:
        while not ended and not session.leaving:
            # At the start, and again after each exec.
            try:
                process = identify(child.pid)
                engine.attach(process, started_ns=began, children=children)
            except UbError as error:
                if launch.is_held or child.poll() is None:
                    session.log(f"{error.message}; the program runs natively")
                launch.go()
                if children:
                    # Those that it had before an exec; and requests are served.
                    engine.run(lambda: ended or session.leaving)
                return
            finally:
                launch.go()
            if children:
                # The engine handles execs itself, and may have no targets for a while.
                engine.run(lambda: ended or session.leaving)
            else:
                engine.run(lambda: ended or session.leaving or engine.is_over)
    finally:
        engine.unwatch(pidfd)
        os.close(pidfd)


def _stay(session: Session, pid: int, name: str) -> None:
    """Boost descendants that outlive the program, such as daemons.

    Until all have ended, or until Ctrl-C: then they continue natively.
    """
    engine = session.engine
    if engine is None:
        return
    with Stop(engine) as stop:

        def over() -> bool:
            return stop.asked or session.leaving or engine.is_over

        for target in engine.targets:
            target.gone = target.gone or target.process.pid == pid
        engine.step(0)
        # New children are attached after a delay; most end with the program.
        engine.run(lambda: over() or bool(engine.targets))
        if left := len(engine.targets):
            session.log(
                f"{name} has ended; {left} of its processes still run, boosted; "
                "Ctrl-C detaches them"
            )
        engine.run(over)


VERB = Verb("run", "start a program and boost it until it ends", configure, run)
