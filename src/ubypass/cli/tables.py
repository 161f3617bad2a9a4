# SPDX-License-Identifier: GPL-2.0-only
"""Tables on the console: never cut, since cells are copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["console", "plain_table"]

#: Tables fit into this width; a narrower window wraps lines itself.
_WIDTH = 80


def console() -> Console:
    """Standard output, at least 80 columns wide."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.width >= _WIDTH else Console(highlight=False, width=_WIDTH)


def plain_table() -> Table:
    """A table without lines, its columns two spaces apart."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
