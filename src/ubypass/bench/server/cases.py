# SPDX-License-Identifier: GPL-2.0-only
"""The choice of a server's cases; independent of the servers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from ubypass.errors import UbError

__all__ = ["choose"]

_Case = TypeVar("_Case")


def choose(
    server: str,
    cases: tuple[_Case, ...],
    wanted: Mapping[str, Collection[object]],
    known: str,
) -> tuple[_Case, ...]:
    """The ``cases`` whose attributes are among the ``wanted`` values.

    An attribute without wanted values may have any value. ``known``: the possible
    values, for people. Raises UbError if no case is left.
    """
    chosen = tuple(
        case
        for case in cases
        if all(not v or getattr(case, name) in v for name, v in wanted.items())
    )
    if not chosen:
        raise UbError(f"no such case of {server}", known)
    return chosen
