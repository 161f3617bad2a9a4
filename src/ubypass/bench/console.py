# SPDX-License-Identifier: GPL-2.0-only
"""A console wide enough for tables of figures; independent of the figures."""

from __future__ import annotations

from rich.console import Console

__all__ = ["wide_enough"]

#: Tables are cut in narrower consoles; terminals have 80 columns.
_WIDTH = 80


def wide_enough(console: Console | None) -> Console:
    """A console of at least 80 columns.

    ``console`` (None: standard output), or one on the same file if that is narrower or
    no terminal.
    """
    console = console or Console()
    if console.width < _WIDTH or not console.is_terminal:
        return Console(file=console.file, width=_WIDTH)
    return console
