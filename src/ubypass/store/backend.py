# SPDX-License-Identifier: GPL-2.0-only
"""The interface of a place that keeps named bytes; nothing from there is trusted."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Backend", "StoreError", "check_name"]

_LETTERS = frozenset("0123456789abcdef")
_ENDINGS = ("", ".claim", ".takeover")
_HEX = 64


class StoreError(Exception):
    """The place did not do what was asked; the text says why."""


class Backend(Protocol):
    """Keeps bytes by name; names are content addresses, perhaps with ".claim" or
    ".takeover".

    ``get``: the bytes, None if there are none. ``put``: whether they are kept now;
    False with ``if_absent`` if the name existed. Both raise ``StoreError``, and try not
    to take longer than ``seconds``.
    """

    def get(self, name: str, seconds: float) -> bytes | None: ...

    def put(
        self, name: str, data: bytes, seconds: float, *, if_absent: bool
    ) -> bool: ...


def check_name(name: str) -> str:
    """``name`` if it is one that this package uses. Raises ``ValueError``."""
    address, dot, ending = name.partition(".")
    if len(address) != _HEX or not _LETTERS.issuperset(address):
        raise ValueError(f"{name!r} is no content address")
    if dot + ending not in _ENDINGS:
        raise ValueError(f"{name!r} has an unknown ending")
    return name
