# SPDX-License-Identifier: GPL-2.0-only
"""Where functions begin and end, from ``.eh_frame``.

Compilers write an entry for every function and stripping does not remove it, so
that exceptions can be unwound; tables and padding between functions have none. Format:
Linux Standard Base, Core, 10.6.1. Knows nothing of instructions.
"""

from __future__ import annotations

__all__ = ["function_ranges"]

_PCREL = 0x10
_SIZES = {0x0: 8, 0x2: 2, 0x3: 4, 0x4: 8, 0xA: 2, 0xB: 4, 0xC: 8}
_SIGNED = 0x08
_OMIT = 0xFF


def function_ranges(data: bytes, address: int) -> list[tuple[int, int]]:
    """(start, size) of each function in the section ``data`` at ``address``.

    Addresses and sizes in bytes. Entries in an encoding that x86-64 toolchains do not
    use are left out.
    """
    found: list[tuple[int, int]] = []
    encodings: dict[int, int] = {}
    at = 0
    while at + 4 <= len(data):
        entry = at
        length = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if length == 0xFFFFFFFF:
            length = int.from_bytes(data[at : at + 8], "little")
            at += 8
        if length == 0:
            # Linkers end the section with this; some put it between parts.
            continue
        end = at + length
        pointer = int.from_bytes(data[at : at + 4], "little")
        if pointer == 0:
            encodings[entry] = _encoding(data[at + 4 : end])
        else:
            encoding = encodings.get(at - pointer, _OMIT)
            size = _SIZES.get(encoding & 0x0F)
            if size is not None and encoding & 0x70 in (0, _PCREL):
                place = at + 4
                field = data[place : place + size]
                start = int.from_bytes(field, "little", signed=bool(encoding & _SIGNED))
                if encoding & _PCREL:
                    start += address + place
                extent = data[place + size : place + 2 * size]
                found.append((start, int.from_bytes(extent, "little")))
        at = end
    return sorted({(start, size) for start, size in found if size and start > 0})


def _encoding(body: bytes) -> int:
    """How a common entry's functions write pointers; ``body`` follows its id."""
    version = body[0]
    text, _, rest = body[1:].partition(b"\0")
    if not text.startswith(b"z"):
        return 0
    at = _skip(rest, 0)  # code alignment
    at = _skip(rest, at)  # data alignment
    at = at + 1 if version == 1 else _skip(rest, at)  # return address register
    at = _skip(rest, at)  # length of what follows
    for letter in text[1:].decode("ascii", "replace"):
        if letter == "R":
            return rest[at]
        if letter == "L":
            at += 1
        elif letter == "P":
            at += 1 + _SIZES.get(rest[at] & 0x0F, 8)
    return 0


def _skip(data: bytes, at: int) -> int:
    """Past a LEB128 number."""
    while data[at] & 0x80:
        at += 1
    return at + 1
