# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.translate.digest``: a digest of many translations.

With UBYPASS_PURE=1 of compiled modules' sources. Needs nothing but the translator, so
that any Python can run it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ubypass.abi import Abi
from ubypass.process.elf import open_elf
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

_LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
_EACH = 250


def regions() -> Iterator[Region]:
    """Regions at every so many functions of libc."""
    elf = open_elf(_LIBC)
    starts = [start for start, _ in elf.function_ranges()]
    assert starts
    reader = BytesReader(elf.executable_bytes())
    for start in starts[::_EACH]:
        yield discover(RegionSpec((HotEntry(start, 0),)), reader)


def digest() -> str:
    """Of the translations of :func:`regions`."""
    found = hashlib.sha256()
    for region in regions():
        found.update(repr(translate(region, Abi(features=frozenset()))).encode())
    return found.hexdigest()


if __name__ == "__main__":
    print(digest())
