# SPDX-License-Identifier: GPL-2.0-only
"""``ub attach PID``: boost running programs until they end, or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import socket
from typing import TYPE_CHECKING, Any

from ubypass.cli.options import add_options, caps, number, tunables

if TYPE_CHECKING:
    from ubypass.cli.session import Session

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
        ) as session,
        _Stop(session) as stop,
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


class _Stop:
    """Ctrl-C and its like: sets ``asked`` and wakes the engine's loop.

    A handler alone would not: an interrupted wait is taken up again.
    """

    def __init__(self, session: Session) -> None:
        self.asked = False
        self._session = session
        self._wake, self._woken = socket.socketpair()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        assert self._session.engine is not None
        self._session.engine.watch(self._woken.fileno(), self._drain)
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A shell's background ignores interrupts, and yet we end by one.
            nohup = which is signal.SIGHUP and _is_ignored(which)
            if not nohup:
                self._before[which] = signal.signal(which, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for which, handler in self._before.items():
            signal.signal(which, handler)
        signal.set_wakeup_fd(-1)
        assert self._session.engine is not None
        self._session.engine.unwatch(self._woken.fileno())
        self._wake.close()
        self._woken.close()

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True

    def _drain(self) -> None:
        self._woken.recv(64)


def _is_ignored(which: signal.Signals) -> bool:
    return signal.getsignal(which) is signal.SIG_IGN
