# SPDX-License-Identifier: GPL-2.0-only
"""Checks of the translator's own bookkeeping, which ``python -O`` does not remove.

A contradiction means a bug in the translator. The region is then refused, since code
made from wrong bookkeeping may be incorrect.
"""

from __future__ import annotations

__all__ = ["require"]


def require(holds: bool, what: str) -> None:
    """Raise AssertionError, saying ``what`` is wrong, unless ``holds``."""
    if not holds:
        raise AssertionError(what)
