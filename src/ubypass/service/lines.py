# SPDX-License-Identifier: GPL-2.0-only
"""Line numbers of the keys in a TOML text, which tomllib does not provide.

For messages only. Keys in inline tables and dotted keys have no line of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["Place", "find_lines"]

#: A table's name, its index among tables of that name, and a key; "" for the table.
Place = tuple[str, int, str]

_HEADER = re.compile(r"\s*\[(\[)?\s*([\w-]+)\s*\]")
_KEY = re.compile(r"""\s*(?:([\w-]+)|"([^"]*)"|'([^']*)')\s*=""")
_STRING = re.compile(r'"""|' r"'''")


def find_lines(text: str) -> Mapping[Place, int]:
    """Line numbers, from 1. Keys at the top are in the table ""."""
    found: dict[Place, int] = {}
    count: dict[str, int] = {}
    table, index = "", 0
    quote = ""  # quotes of an open multi-line string
    for number, line in enumerate(text.splitlines(), 1):
        inside = bool(quote)
        for mark in _STRING.findall(line):
            quote = mark if not quote else ("" if mark == quote else quote)
        if inside:
            continue
        if header := _HEADER.match(line):
            table = header[2]
            index = count.get(table, 0) if header[1] else 0
            count[table] = index + 1
            found.setdefault((table, index, ""), number)
        elif key := _KEY.match(line):
            name = next(word for word in key.groups() if word is not None)
            found.setdefault((table, index, name), number)
    return found
