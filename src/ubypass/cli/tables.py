# SPDX-License-Identifier: GPL-2.0-only
"""Where tables are printed: never cut, as what stands in them is to be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console"]

#: Tables fit into it; a window that is narrower wraps them by itself.
_WIDTH = 80


def console() -> Console:
    """Standard output, at least 80 columns wide."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.width >= _WIDTH else Console(highlight=False, width=_WIDTH)
