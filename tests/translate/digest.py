# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.translate.digest``: a digest of many translations.

With UBYPASS_PURE=1 of compiled modules' sources. Needs nothing but the translator, so
that any Python can run it.
"""

from __future__ import annotations

import hashlib

from ubypass.abi import Abi
from ubypass.coverage.ehframe import function_ranges
from ubypass.process.elf import open_elf
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

_LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
_EACH = 250


def digest() -> str:
    """Of the translations of regions at every so many functions of libc."""
    elf = open_elf(_LIBC)
    section = elf.section(".eh_frame")
    assert section is not None
    starts = [start for start, size in function_ranges(section[1], section[0])]
    reader = BytesReader(elf.executable_bytes())
    found = hashlib.sha256()
    for start in starts[::_EACH]:
        region = discover(RegionSpec((HotEntry(start, 0),)), reader)
        found.update(repr(translate(region, Abi(features=frozenset()))).encode())
    return found.hexdigest()


if __name__ == "__main__":
    print(digest())
