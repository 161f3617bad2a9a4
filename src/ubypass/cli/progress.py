# SPDX-License-Identifier: GPL-2.0-only
"""Progress messages: a spinner on a terminal, else lines, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ubypass.cli.streams import speaks_unicode

__all__ = ["progress"]


@contextmanager
def progress(title: str, *, lines: bool = True) -> Iterator[Callable[[str], None]]:
    """Yields a function for short phrases; an empty phrase ends the spinner.

    The next phrase starts it again. ``lines``: whether to print the phrases without a
    terminal.
    """
    if not sys.stderr.isatty():

        def write(phrase: str) -> None:
            if phrase and lines:
                print(f"{title}: {phrase}", file=sys.stderr, flush=True)

        yield write
        return
    from rich.console import Console
    from rich.markup import escape

    spinner = "dots" if speaks_unicode(sys.stderr) else "line"
    status = Console(stderr=True).status("", spinner=spinner)

    def show(phrase: str) -> None:
        if phrase:
            status.update(escape(f"{title}: {phrase}"))
            status.start()
        else:
            status.stop()

    try:
        yield show
    finally:
        status.stop()
