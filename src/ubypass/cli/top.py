# SPDX-License-Identifier: GPL-2.0-only
"""``ub top``: boosted processes, live, on a terminal."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ubypass.cli.options import add_interval
from ubypass.cli.top_screen import SORTS, View
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["VERB", "Poller", "configure", "press", "run"]


_LOOK = 0.2  # seconds; also the delay for a changed window size


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_interval(parser, "time between updates", least=0.2, default=2.0)
    parser.add_argument(
        "--sort",
        choices=[heading.lower() for heading in SORTS.values()],
        default="disp/s",
        help="sort by this column at first (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Show processes until "q" or Ctrl-C; 0."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UbError(
            "input and output must be a terminal", "for pipes: ub stats --watch"
        )
    names = {heading.lower(): key for key, heading in SORTS.items()}
    view = View(sort=names[args.sort])
    poller = Poller(args.interval)
    poller.start()
    try:
        while _show(view, poller):
            # The terminal has the shell's settings; fg continues here.
            os.kill(os.getpid(), signal.SIGTSTP)
    except KeyboardInterrupt:
        pass
    finally:
        poller.stop()
    return 0


class Poller(threading.Thread):
    """Polls the engines at intervals, so that a busy one does not block the display.

    :meth:`latest` returns the newest answer.
    """

    def __init__(self, interval: float) -> None:
        super().__init__(daemon=True)
        self._interval = interval
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._news: tuple[Sequence[Any], str] | None = None

    def run(self) -> None:
        """Ask, wait, and ask again."""
        from ubypass.cli.rates import rates

        before: Sequence[Mapping[str, Any]] = ()
        then = time.monotonic()
        # The first rates cover a short time.
        wait = min(0.5, self._interval)
        while True:
            try:
                processes, complaint = _ask()
            except UbError as error:
                processes, complaint = [], error.message
            now = time.monotonic()
            with self._lock:
                self._news = rates(before, processes, now - then), complaint
            before, then = processes, now
            if self._stopped.wait(wait):
                return
            wait = self._interval

    def latest(self) -> tuple[Sequence[Any], str] | None:
        """New rates and an error or "", once; None if there are none."""
        with self._lock:
            news, self._news = self._news, None
        return news

    def stop(self) -> None:
        """End the polling."""
        self._stopped.set()


def _ask() -> tuple[list[dict[str, Any]], str]:
    from ubypass.cli.stats import answered

    processes, silent = answered()
    return processes, silent[0].message if silent else ""


def _show(view: View, poller: Poller) -> bool:
    """Show the view; whether to suspend (True) or to end."""
    from rich.console import Console
    from rich.live import Live

    from ubypass.cli.keyboard import Keyboard

    console = Console()
    with (
        Keyboard() as keyboard,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            if (news := poller.latest()) is not None:
                rows, complaint = news
                view.take(rows)
                view.message = complaint or (view.message if view.asked else "")
            live.update(_rendered(view), refresh=True)
            try:
                key = keyboard.key(_LOOK)
            except EOFError:
                return False
            if key in ("q", "suspend"):
                return key == "suspend"
            if key is not None:
                press(view, key, page=shutil.get_terminal_size().lines - 2)


def _rendered(view: View) -> Group:
    from rich.console import Group
    from rich.text import Text

    size = shutil.get_terminal_size()
    lines = view.lines(size.columns, size.lines)
    return Group(*(Text(each.text, each.style, no_wrap=True) for each in lines))


def press(view: View, key: str, page: int) -> None:
    """Handle a key; ``page``: lines of a page."""
    asked, view.asked, view.message = view.asked, None, ""
    moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page}
    if asked is not None:
        view.message = _detached(asked) if key == "y" else "not detached"
    elif key in moves:
        view.move(moves[key])
    elif view.page is not None:
        if key in ("escape", "enter"):
            view.page, view.offset = None, 0
    elif key in SORTS:
        view.order(key)
    elif view.chosen is not None and key in ("enter", "e"):
        view.page, view.offset = _explained(view.chosen), 0
    elif view.chosen is not None and key == "x":
        view.asked = view.chosen
        view.message = f"detach process {view.chosen}? y: yes, other keys: no"


def _explained(pid: int) -> list[str]:
    """The output of ``ub explain PID``."""
    from ubypass.cli import explain

    options = argparse.Namespace(
        id=str(pid), exits=False, sites=False, json=False, html=None
    )
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            explain.run(options)
    except UbError as error:
        return [error.message, error.hint]
    return printed.getvalue().splitlines()


def _detached(pid: int) -> str:
    """Detach the process; the result in words."""
    from ubypass.engine.control import ask_all
    from ubypass.process.namespace import numbers_of

    try:
        ask_all({"ask": "detach", "id": pid, "numbers": numbers_of(pid)})
    except UbError as error:
        return error.message
    return f"detached process {pid}, which now runs natively"


VERB = Verb("top", "watch the boosted processes live", configure, run)
