# SPDX-License-Identifier: GPL-2.0-only
"""The address that the first scratch register caches.

An access to the same address, or to one shortly behind, needs no clamp of its own.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CONSTANT",
    "SUM",
    "THREAD",
    "CachedAddress",
    "address_sum",
    "depends",
    "distance_behind",
]

#: The cache of the first scratch register: a constant, (THREAD) the clamped address fs
#: base + user register, or (SUM) the clamped address of a memory operand.
CachedAddress = tuple[int, int]
CONSTANT: Final = 0
THREAD: Final = 1
SUM: Final = 2


def address_sum(base: int, index: int, scale: int, displacement: int) -> CachedAddress:
    """The cache entry for the clamped address of an operand; ``base`` and
    ``index`` are user registers, -1: none.
    """
    return SUM, displacement << 16 | scale << 10 | (index + 1) << 5 | (base + 1)


def distance_behind(cached: CachedAddress, wanted: CachedAddress) -> int:
    """Bytes from the cached address up to the ``wanted`` one; -1: unknown, or below
    it.
    """
    if cached[0] != SUM or (cached[1] ^ wanted[1]) & 0xFFFF:
        return -1
    return max((wanted[1] >> 16) - (cached[1] >> 16), -1)


def depends(cached: CachedAddress, user: int) -> bool:
    """Whether a change of ``user`` makes the cached address stale."""
    if cached[0] == SUM:
        return cached[1] & 31 == user + 1 or cached[1] >> 5 & 31 == user + 1
    return cached[0] == THREAD and cached[1] == user
