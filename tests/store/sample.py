# SPDX-License-Identifier: GPL-2.0-only
"""A program of two files, read in a loop through a library, mapped anywhere."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping

from tests.translate.assemble import assemble
from ubypass.abi import Abi, SiteKey
from ubypass.device.types import Path
from ubypass.engine.build import Builder
from ubypass.engine.profile import HotSite, Profile
from ubypass.process.maps import MemoryMap, VmArea
from ubypass.region.decode import Decoded
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader

ABI = Abi(features=frozenset({"cx16", "ssse3"}))

#: Offsets of the text in the files.
_PROGRAM, _LIBRARY = 0x1000, 0x28000

_PROGRAM_SOURCE = """
start:
    mov edi, 3
    lea rsi, [rip + start + 0x4000]
    mov edx, 64
    call [rip + start + 0x3000]
back:
    test rax, rax
    jz out
    add [rip + start + 0x4100], rax
    mov rcx, [rip + start + 0x4108]
    and eax, 255
    add byte ptr [rcx + rax], 1
    inc qword ptr [rip + start + 0x4110]
    dec rbx
    jne start
out:
    ret
"""
_LIBRARY_SOURCE = """
read:
    endbr64
    mov eax, 0
    syscall
resume:
    cmp rax, -4096
    ja error
    ret
error:
    neg eax
    mov fs:[rdx], eax
    mov rax, -1
    ret
"""


@functools.cache
def _text(source: str) -> tuple[bytes, dict[str, int]]:
    return assemble(source, 0)


def random_bases(seed: int | None = None) -> tuple[int, int]:
    """Addresses of program and library, as the kernel chooses them."""
    dice = random.Random(seed)
    return (
        0x5500_0000_0000 + (dice.getrandbits(28) << 12),
        0x7F00_0000_0000 + (dice.getrandbits(28) << 12),
    )


class Machine:
    """A process that has the program mapped at ``bases``; readable like its memory."""

    def __init__(
        self,
        bases: tuple[int, int],
        *,
        patch: Mapping[str, str] | None = None,
        inode: int = 7,
    ) -> None:
        program, library = _PROGRAM_SOURCE, _LIBRARY_SOURCE
        for old, new in (patch or {}).items():
            program, library = program.replace(old, new), library.replace(old, new)
        self.bases = bases
        code, at = _text(program)
        other, inside = _text(library)
        start, below = bases[0] + _PROGRAM, bases[1] + _LIBRARY
        self.resume = below + inside["resume"]
        self.back = start + at["back"]
        self.start = start
        self._below = below, inside
        self._at = at
        self.reader = BytesReader(
            {start: code, below: other},
            {start + 0x3000: (below + inside["read"]).to_bytes(8, "little")},
        )
        areas = (
            _area(start, 0x1000, _PROGRAM, inode, "/usr/bin/program"),
            _area(below, 0x1000, _LIBRARY, 8, "/usr/lib/libc.so.6"),
        )
        self.maps = MemoryMap(tuple(sorted(areas, key=lambda area: area.start)))

    def read(self, address: int, size: int) -> bytes:
        return self.reader.read(address, size)

    def read_data(self, address: int, size: int) -> bytes:
        return self.reader.read_data(address, size)

    def profile(self, traces: int = 0) -> Profile:
        """What the engine knows after ``traces`` traced gaps."""
        profile = Profile(entries={SiteKey(self.resume, 0): HotSite([(self.back,)])})
        for _ in range(traces):
            profile.add_path(Path(self.resume, 0, tuple(self._gap())))
        return profile

    def _gap(self) -> list[int]:
        """The addresses of all instructions from one call to the next one."""
        code, found = Decoded(self), []
        below, inside = self._below
        stretches = (
            (self.resume, below + inside["error"]),
            (self.back, self.start + self._at["out"]),
            (self.start, self.back),
            (below + inside["read"], self.resume),
        )
        for address, end in stretches:
            while address < end:
                found.append(address)
                address += len(code.at(address) or b"x")
        return found


def _area(start: int, size: int, offset: int, inode: int, path: str) -> VmArea:
    return VmArea(start, start + size, True, False, True, True, offset, inode, path, 1)


def region_of(machine: Machine, traces: int = 0) -> Region:
    """What the engine would translate."""
    return Builder(ABI)(machine.profile(traces), machine).region
