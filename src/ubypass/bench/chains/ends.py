# SPDX-License-Identifier: GPL-2.0-only
"""Jumps to the replay in place of the system calls of the original code.

A ``syscall`` has two bytes, enough for a short jump. The short jump leads to five bytes
nearby that the chain does not execute; the near jump there leads to a page within ±2
GiB, from which an indirect jump reaches any address.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from ubypass.bench.chains.snapshot import Area
from ubypass.errors import UbError

__all__ = ["plant"]

_LONG = 5  # bytes of a near jump
_LONGEST = 15  # bytes of the longest instruction
_NEAR = range(-126 + 1, 127 - _LONG)
_REACH = (1 << 31) - (1 << 20)
_PAGE = 4096
# The replay's own tables, and the replay itself.
_OURS = range(0x1000_0000_0000, 0x1010_0000_0000)
_LOW = range(0x7000_0000, 0x8000_0000)


def plant(
    sites: Iterable[int], executed: Sequence[int], areas: Sequence[Area]
) -> tuple[dict[int, bytes], tuple[int, ...]]:
    """The patches, as bytes by address, and the pages that lead to the replay.

    ``executed``: addresses of all instructions that the chain executes, ascending.
    Raises UbError if there is no room.
    """
    patches: dict[int, bytes] = {}
    pages: list[int] = []
    taken: list[range] = []
    for site in sorted(set(sites)):
        page = next((p for p in pages if abs(p - site) < _REACH), None)
        if page is None:
            page = _free_page(site, areas, pages)
            pages.append(page)
        area = next(a for a in areas if a.start <= site < a.end)
        hole = _hole(site, executed, taken, area)
        taken.append(range(hole, hole + _LONG))
        patches[site] = b"\xeb" + (hole - site - 2).to_bytes(1, "little", signed=True)
        patches[hole] = b"\xe9" + (page - hole - _LONG).to_bytes(
            4, "little", signed=True
        )
    return patches, tuple(pages)


def _hole(
    site: int, executed: Sequence[int], taken: Sequence[range], area: Area
) -> int:
    for distance in sorted(_NEAR, key=abs):
        at = site + 2 + distance
        if at < area.start or at + _LONG > area.end:
            continue
        if at + _LONG > site and at < site + 2:
            continue
        # No executed instruction begins in the five bytes or reaches into them.
        first = bisect_left(executed, at - _LONGEST + 1)
        if first < len(executed) and executed[first] < at + _LONG:
            continue
        if any(at < other.stop and other.start < at + _LONG for other in taken):
            continue
        return at
    raise UbError(f"there is no room next to the system call at {site:#x}")


def _free_page(site: int, areas: Sequence[Area], pages: Sequence[int]) -> int:
    """The free page nearest to ``site``."""
    edges = [area.end for area in areas] + [area.start - _PAGE for area in areas]
    for at in sorted(edges, key=lambda edge: abs(edge - site)):
        if abs(at - site) >= _REACH or at < 0x10000 or at in _OURS or at in _LOW:
            continue
        if at in pages or any(a.start < at + _PAGE and at < a.end for a in areas):
            continue
        if at + _PAGE < 0x7FFF_FFFF_F000:
            return at
    raise UbError(f"there is no free page within reach of {site:#x}")
