# SPDX-License-Identifier: GPL-2.0-only
"""Translations without the addresses of a process.

A region is translated at three placements of its files that have nothing in common.
Whatever differs between the first two has to be an address (or its negative) that moves
with one file: a relocation. A translation counts only if its relocations give, byte for
byte, what the translator makes at the third placement. So nothing is assumed about how
the translator encodes addresses. Must not depend on a store.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ubypass.abi import Entry, Exit, Source, Translation
from ubypass.region.graph import Region
from ubypass.store.placement import NotShareable, Placement, moved

__all__ = ["FIXED", "Portable", "Relocation", "make_portable", "placed"]

#: The unit of an address that does not move.
FIXED = -1

#: Distance of units in bytes, as a power of two: too far apart for one to be addressed
#: relative to another one. Sixteen of them fit into 47 bits.
_APART = 42

_WORD = 8
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Relocation:
    """A field of eight bytes at ``at`` that moves with ``unit``; ``sign``: 1 or -1."""

    at: int
    unit: int
    sign: int


@dataclass(frozen=True, slots=True)
class Portable:
    """A translation whose unit ``n`` is mapped at ``bases[n]``, and how to move it.

    ``moving``: the unit that each user address of the tables moves with, in the order
    of :func:`placed`. The sources are not contained: the content address covers them.
    """

    translation: Translation
    bases: tuple[int, ...]
    relocations: tuple[Relocation, ...]
    moving: tuple[int, ...]


def make_portable(
    region: Region, placement: Placement, translate: Callable[[Region], Translation]
) -> Portable:
    """Translate ``region`` at three placements. Raises ``NotShareable`` and UbError."""
    count = len(placement.bases)
    made = []
    for _ in range(3):
        bases = _random_bases(count)
        made.append((translate(moved(region, placement, bases)), bases))
    (first, bases), (second, other), (third, _) = made
    slides = [(b - a) for a, b in zip(bases, other, strict=True)]
    portable = Portable(
        replace(first, sources=()),
        bases,
        _relocations(first.code, second.code, slides),
        _moving(_addresses(first), _addresses(second), slides),
    )
    if _differs(placed(portable, made[2][1], third.sources), third):
        raise NotShareable("the translation depends on addresses in another way")
    return portable


def placed(
    portable: Portable, bases: Sequence[int], sources: tuple[Source, ...]
) -> Translation:
    """The translation for units mapped at ``bases``; ``sources``: their code."""
    slides = [b - a for a, b in zip(portable.bases, bases, strict=True)]
    code = bytearray(portable.translation.code)
    for each in portable.relocations:
        end = each.at + _WORD
        value = int.from_bytes(code[each.at : end], "little")
        value = (value + each.sign * slides[each.unit]) & _MASK
        code[each.at : end] = value.to_bytes(_WORD, "little")
    addresses = [
        address if unit == FIXED else address + slides[unit]
        for address, unit in zip(
            _addresses(portable.translation), portable.moving, strict=True
        )
    ]
    moved_tables = _with_addresses(portable.translation, iter(addresses))
    return replace(moved_tables, code=bytes(code), sources=sources)


def _random_bases(count: int) -> tuple[int, ...]:
    return tuple(
        (number + 1 << _APART) + (secrets.randbits(28) << 12) for number in range(count)
    )


def _relocations(
    first: bytes, second: bytes, slides: Sequence[int]
) -> tuple[Relocation, ...]:
    """The relocations that explain all differences. Raises ``NotShareable``."""
    if len(first) != len(second):
        raise NotShareable("the length of the translation depends on addresses")
    moves = {slide & _MASK: (unit, 1) for unit, slide in enumerate(slides)}
    moves |= {-slide & _MASK: (unit, -1) for unit, slide in enumerate(slides)}
    found: list[Relocation] = []
    at = free = 0
    while at < len(first):
        if first[at] == second[at]:
            at += 1
            continue
        # Files move by whole pages: the lowest byte of an address is never the first
        # difference.
        for start in range(max(free, at - _WORD + 1), at + 1):
            old = int.from_bytes(first[start : start + _WORD], "little")
            new = int.from_bytes(second[start : start + _WORD], "little")
            if (new - old) & _MASK in moves:
                unit, sign = moves[(new - old) & _MASK]
                found.append(Relocation(start, unit, sign))
                at = free = start + _WORD
                break
        else:
            raise NotShareable("the code depends on addresses in another way")
    return tuple(found)


def _moving(
    first: Sequence[int], second: Sequence[int], slides: Sequence[int]
) -> tuple[int, ...]:
    """The unit that each address moves with. Raises ``NotShareable``."""
    if len(first) != len(second):
        raise NotShareable("the exits of the translation depend on addresses")
    units = {slide: unit for unit, slide in enumerate(slides)} | {0: FIXED}
    try:
        return tuple(units[b - a] for a, b in zip(first, second, strict=True))
    except KeyError as error:
        raise NotShareable("the tables depend on addresses in another way") from error


def _addresses(translation: Translation) -> list[int]:
    """All user addresses in the tables, but those of the sources."""
    found = [entry.user_ip for entry in translation.entries]
    for each in translation.exits:
        found += [each.user_ip, each.cx]
    found += [dispatch.user_ip for dispatch in translation.dispatches]
    found += [address for _, address in translation.user_ips]
    found += [address for address, _ in translation.anchored]
    return found


def _with_addresses(old: Translation, addresses: Iterator[int]) -> Translation:
    """``old`` with other addresses in its tables, in the order of _addresses."""
    return replace(
        old,
        entries=tuple(Entry(next(addresses), e.code_offset, e.nr) for e in old.entries),
        exits=tuple(
            Exit(next(addresses), e.reason, e.flags, next(addresses)) for e in old.exits
        ),
        dispatches=tuple(
            replace(dispatch, user_ip=next(addresses)) for dispatch in old.dispatches
        ),
        user_ips=tuple((offset, next(addresses)) for offset, _ in old.user_ips),
        anchored=tuple(sorted((next(addresses), mask) for _, mask in old.anchored)),
    )


def _differs(one: Translation, other: Translation) -> bool:
    """Whether two translations differ in anything, listings included."""
    parts = ("exact", "anchored")
    return one != other or any(getattr(one, p) != getattr(other, p) for p in parts)
