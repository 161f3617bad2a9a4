# SPDX-License-Identifier: GPL-2.0-only
"""The format of a stored translation: compressed JSON, bounded and without objects.

Everything read is checked for type and range before it is used, so that later parts see
a well-formed translation, if perhaps an unsafe one: the verifier is for that.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

from ubypass.abi import Dispatch, Entry, Exit, ExitFlag, ExitReason, Fault, Translation
from ubypass.store.portable import FIXED, Portable, Relocation

__all__ = ["MOST_BYTES", "WireError", "decoded", "encoded"]

#: Of the format; other versions are refused.
_FORMAT = 2

#: Most bytes of a stored translation, and of its JSON. The largest translation that a
#: module takes has 256 KiB of code.
MOST_BYTES = 1 << 20
_MOST_JSON = 8 << 20

_MOST_CODE = 1 << 20
_MOST_ROWS = 1 << 17
_U32 = 1 << 32
_U64 = 1 << 64


class WireError(Exception):
    """Not a stored translation, or of another version; the text says what is wrong."""


def encoded(portable: Portable) -> bytes:
    """The stored form. Raises ``WireError`` if it is too large."""
    made = portable.translation
    text = json.dumps(
        {
            "format": _FORMAT,
            "code": base64.b64encode(made.code).decode(),
            "constants": made.constants,
            "vector": made.vector,
            "x87": made.x87,
            "entries": [[e.user_ip, e.code_offset, e.nr] for e in made.entries],
            "exits": [
                [e.user_ip, int(e.reason), int(e.flags), e.cx] for e in made.exits
            ],
            "exact": [int(each) for each in made.exact],
            "faults": [[f.code_offset, f.fixup_offset] for f in made.faults],
            "dispatches": [
                [d.code_offset, d.nr, d.pre_offset, d.post_offset, d.user_ip]
                for d in made.dispatches
            ],
            "jumps": list(made.jumps),
            "user_ips": made.user_ips,
            "anchored": made.anchored,
            "bases": portable.bases,
            "relocations": [[r.at, r.unit, r.sign < 0] for r in portable.relocations],
            "moving": [None if u == FIXED else u for u in portable.moving],
        },
        separators=(",", ":"),
    )
    data = zlib.compress(text.encode(), 9)
    if len(data) > MOST_BYTES or len(text) > _MOST_JSON:
        raise WireError(f"{len(data)} bytes are too many")
    return data


def decoded(data: bytes) -> Portable:
    """The translation in ``data``, which may come from anywhere.

    Raises ``WireError``.
    """
    if len(data) > MOST_BYTES:
        raise WireError(f"{len(data)} bytes are too many")
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _MOST_JSON)
        if not unpacker.eof or unpacker.unused_data:
            raise WireError("it ends early, late, or is too large")
        found = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise WireError("it is not compressed JSON") from error
    if not isinstance(found, dict):
        raise WireError("it is no table")
    version = found.get("format")
    if isinstance(version, bool) or version != _FORMAT:
        raise WireError(f"its format is not {_FORMAT}")
    try:
        return _portable(found)
    except (KeyError, ValueError, TypeError) as error:
        raise WireError(f"its contents are malformed: {error}") from error


def _portable(found: dict[str, Any]) -> Portable:
    code = base64.b64decode(_text(found["code"]), validate=True)
    if len(code) > _MOST_CODE:
        raise WireError("its code is too large")
    bases = tuple(_numbers(found["bases"], 1 << 47))
    exits = tuple(
        Exit(ip, ExitReason(reason), ExitFlag(flags), cx)
        for ip, reason, flags, cx in _rows(found["exits"], (_U64, _U32, 1 << 6, _U64))
    )
    made = Translation(
        code=code,
        entries=tuple(
            Entry(*row) for row in _rows(found["entries"], (_U64, _U32, _U32))
        ),
        exits=exits,
        faults=tuple(Fault(*row) for row in _rows(found["faults"], (_U32, _U32))),
        dispatches=tuple(
            Dispatch(*row)
            for row in _rows(found["dispatches"], (_U32, _U32, _U32, _U32, _U64))
        ),
        jumps=tuple(_numbers(found["jumps"], _U32)),
        sources=(),
        constants=_number(found["constants"], _U32),
        user_ips=tuple((a, b) for a, b in _rows(found["user_ips"], (_U32, _U64))),
        vector=_flag(found["vector"]),
        x87=_flag(found["x87"]),
        exact=tuple(map(bool, _numbers(found["exact"], 2))),
        anchored=tuple((a, b) for a, b in _rows(found["anchored"], (_U64, 1 << 16))),
    )
    if len(made.exact) not in (0, len(exits)):
        raise WireError("its exits and their flags differ in number")
    listed = _list(found["moving"])
    _check_numbers([unit for unit in listed if unit is not None], len(bases))
    moving = tuple(FIXED if unit is None else unit for unit in listed)
    if len(moving) != _address_count(made):
        raise WireError("its addresses and their files differ in number")
    return Portable(made, bases, _relocations(found, len(code), len(bases)), moving)


def _address_count(made: Translation) -> int:
    rows: Iterable[Sequence[object]] = (
        *(made.entries, made.exits, made.exits, made.dispatches),
        *(made.user_ips, made.anchored),
    )
    return sum(map(len, rows))


def _relocations(
    found: dict[str, Any], length: int, units: int
) -> tuple[Relocation, ...]:
    relocations = []
    free = 0
    for row in _list(found["relocations"]):
        at, unit, negative = _list(row)
        if _number(at, max(length - 7, 0)) < free:
            raise WireError("a relocation is out of place")
        unit = _number(unit, units)
        relocations.append(Relocation(at, unit, -1 if _flag(negative) else 1))
        free = at + 8
    return tuple(relocations)


def _rows(value: object, limits: Sequence[int]) -> list[list[int]]:
    rows = _list(value)
    if any(type(row) is not list or len(row) != len(limits) for row in rows):
        raise WireError("a row has not the right length")
    # By columns, since there are thousands of rows.
    for column, limit in zip(zip(*rows, strict=True), limits, strict=bool(rows)):
        _check_numbers(column, limit)
    return rows


def _numbers(value: object, limit: int) -> list[int]:
    numbers = _list(value)
    _check_numbers(numbers, limit)
    return numbers


def _check_numbers(numbers: Sequence[object], limit: int) -> None:
    """Raises ``WireError`` unless all are integers from 0 on, below ``limit``."""
    # A boolean is no number here.
    if not {int}.issuperset(map(type, numbers)):
        raise WireError("there is something else where a number is expected")
    found = cast("Sequence[int]", numbers)
    if found and not (min(found) >= 0 and max(found) < limit):
        raise WireError("a number is out of range")


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_ROWS:
        raise WireError("it has something else where a list is expected")
    return value


def _number(value: object, limit: int) -> int:
    _check_numbers([value], limit)
    return cast(int, value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise WireError("it has something else where a flag is expected")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise WireError("it has something else where a text is expected")
    return value
