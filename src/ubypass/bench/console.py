# SPDX-License-Identifier: GPL-2.0-only
"""Where tables of figures are printed; knows nothing of figures."""

from __future__ import annotations

from rich.console import Console

__all__ = ["wide_enough"]

#: Narrower than this tables would be cut; terminals have 80 columns.
_WIDTH = 80


def wide_enough(console: Console | None) -> Console:
    """``console`` (None: the standard one), or one as wide as tables need on the same
    file if it is narrower or no terminal.
    """
    console = console or Console()
    if console.width < _WIDTH or not console.is_terminal:
        return Console(file=console.file, width=_WIDTH)
    return console
