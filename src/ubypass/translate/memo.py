# SPDX-License-Identifier: GPL-2.0-only
"""Bounded caches of results, which are recomputed when lost."""

from __future__ import annotations

from typing import Final, TypeVar

__all__ = ["remember"]

# Programs use some thousands of instructions; the bound only keeps a long-lived process
# small.
_MOST: Final = 1 << 15

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def remember(table: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    """Put ``value`` into ``table``, which is cleared when full; returns ``value``."""
    if len(table) >= _MOST:
        table.clear()
    table[key] = value
    return value
