# SPDX-License-Identifier: GPL-2.0-only
"""A listing without offsets, for review: what is referred to has a label.

Code that becomes longer moves all that follows it. Only the lines change here whose
instructions do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ubypass.translate.listing import ListingLine

__all__ = ["labelled"]

_BRANCH = re.compile(r"^(?:j\w+|call) 0x([0-9a-f]+)$")
_NOTED = re.compile(r"(?<=-> )([0-9a-f]+)")
_CONSTANT = re.compile(r"\[0x([0-9a-f]+)\]")
_DATA = ".quad "


def labelled(lines: Sequence[ListingLine]) -> str:
    """The listing as text in columns: user code, label, code.

    Labels are L0, L1 ... for code and C0, C1 ... for constants, in the order in which
    they stand there.
    """
    data = {line.offset for line in lines if line.code.startswith(_DATA)}
    wanted = {target for line in lines for target in _references(line, data)}
    names: dict[int, str] = {}
    for line in lines:
        if line.offset in wanted:
            kind = "C" if line.offset in data else "L"
            count = sum(name[0] == kind for name in names.values())
            names[line.offset] = f"{kind}{count}"
    assert names.keys() == wanted, "a reference to no line"
    rows = []
    for line in lines:
        where = f"{line.user_ip:#x}" if line.user_ip is not None else ""
        label = f"{names[line.offset]}:" if line.offset in names else ""
        code = _renamed(line, names, data)
        rows.append(f"{where:>16}  {line.user:<36} | {label:>5}  {code}".rstrip())
    return "\n".join(rows) + "\n"


def _references(line: ListingLine, data: set[int]) -> Iterable[int]:
    """Offsets in the translation that a line names."""
    yield from (int(found, 16) for found in _BRANCH.findall(line.code))
    yield from (int(found, 16) for found in _NOTED.findall(line.note))
    # Addresses of user memory are written in the same way.
    constants = (int(found, 16) for found in _CONSTANT.findall(line.code))
    yield from (offset for offset in constants if offset in data)


def _renamed(line: ListingLine, names: dict[int, str], data: set[int]) -> str:
    def constant(found: re.Match[str]) -> str:
        offset = int(found[1], 16)
        return f"[{names[offset]}]" if offset in data else found[0]

    code = _CONSTANT.sub(constant, line.code)
    if (branch := _BRANCH.match(code)) is not None:
        code = f"{code[: branch.start(1) - 2]}{names[int(branch[1], 16)]}"
    note = _NOTED.sub(lambda found: names[int(found[1], 16)], line.note)
    return f"{code}  ; {note}" if note else code
