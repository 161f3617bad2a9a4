# SPDX-License-Identifier: GPL-2.0-only
"""Names of addresses in a live process (this one)."""

from __future__ import annotations

import ctypes
import os

from ubypass.process.memory import ProcessMemory
from ubypass.process.symbols import Symbols


def _libc(name: str) -> int:
    value = ctypes.cast(getattr(ctypes.CDLL("libc.so.6"), name), ctypes.c_void_p).value
    assert value is not None
    return value


def test_libc_functions_have_their_names() -> None:
    address = _libc("getppid")
    with ProcessMemory(os.getpid()) as memory:
        symbols = Symbols(memory)
        assert symbols.name(address) == "libc.so.6:getppid"
        assert symbols.name(address + 3) == "libc.so.6:getppid+0x3"


def test_the_vdso_has_names_too() -> None:
    with ProcessMemory(os.getpid()) as memory:
        vdso = next(area for area in memory.maps.areas if area.path == "[vdso]")
        symbols = Symbols(memory)
        names = {symbols.name(address) for address in range(vdso.start, vdso.end, 16)}
    assert any(name.startswith("vdso:clock_gettime") for name in names)


def test_what_has_no_name_is_still_shown() -> None:
    with ProcessMemory(os.getpid()) as memory:
        symbols = Symbols(memory)
        assert symbols.name(0x10) == "0x10"
        stack = next(area for area in memory.maps.areas if area.path == "[stack]")
        assert symbols.name(stack.start + 5) == "stack+0x5"
