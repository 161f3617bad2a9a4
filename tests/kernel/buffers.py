# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what the module has written where it clears the CPU's buffers.

Prints a line of JSON: ``dispatch``, bytes that a dispatch takes; ``verw``, those of the
module's that stand in the arena while one region with one dispatch is loaded, each as
the number of bytes to the ``stac`` behind it; ``entered``, whether ``ub_enter`` has
its own, and no jump over it; ``dispatched``, calls of the loop; ``place``, where in the
arena the region is.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

from tests.kernel.handmade import translation
from tests.kernel.trial import Watch
from ubypass.device.client import Device

_ARENA = 1 << 21  # UB_ARENA_SIZE: a region may be anywhere in it
_FUNCTION = 256
_VERW = b"\x0f\x00\x2d"
_STAC = b"\x0f\x01\xcb"
_INT3 = b"\xcc"
_JUMP = 0xEB  # and a byte of distance


def _symbols() -> dict[str, int]:
    found = {}
    for line in Path("/proc/kallsyms").read_text().splitlines():
        address, _, name, *module = line.split()
        if module == ["[ub]"]:
            found[name] = int(address, 16)
    return found


def _memory(address: int, size: int) -> bytes:
    """The kernel's, by the segments of its ELF image."""
    with open("/proc/kcore", "rb") as core:
        header = core.read(64)
        (at,) = struct.unpack_from("<Q", header, 32)
        each, count = struct.unpack_from("<HH", header, 54)
        core.seek(at)
        table = core.read(each * count)
        for number in range(count):
            _, _, offset, start, _, length = struct.unpack_from(
                "<IIQQQQ", table, number * each
            )
            if start <= address and address + size <= start + length:
                core.seek(offset + address - start)
                return core.read(size)
    raise SystemExit(f"{address:#x} is not in /proc/kcore")


def _verws(code: bytes, address: int, selector: int) -> list[int]:
    """Offsets of ``verw`` with the module's own selector."""
    found, at = [], code.find(_VERW)
    while at >= 0:
        (distance,) = struct.unpack_from("<i", code, at + len(_VERW))
        if address + at + 7 + distance == selector:
            found.append(at)
        at = code.find(_VERW, at + 1)
    return found


def main(program: str) -> int:
    symbols = _symbols()
    with Device() as device:
        watch = Watch(device, program, 1)
        what = translation(watch.resume, watch.code, device.info())
        device.load(watch.proc, what)
        watch.start()
        moved = watch.moved()
        selector = symbols["ub_verw_selector"]
        arena = _memory(symbols["ub_arena"], _ARENA)
        enter = _memory(symbols["ub_enter"], _FUNCTION)
        watch.child.kill()
        watch.child.wait()
        size = device.info().dispatch_size
    found = _verws(arena, symbols["ub_arena"], selector)
    own = _verws(enter, symbols["ub_enter"], selector)
    result = {
        "dispatch": size,
        "verw": [arena.index(_STAC, at) - at - 7 for at in found],
        "entered": len(own) == 1 and enter[own[0] - 2] != _JUMP,
        "dispatched": moved["dispatched"],
        "place": len(arena) - len(arena.lstrip(_INT3)),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
