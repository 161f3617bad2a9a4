# SPDX-License-Identifier: GPL-2.0-only
"""The translation, by hand, of the loop of ``programs/pages.c``.

Made in no time, so that regions are loaded, replaced and unloaded at the rate of the
module. With an access that may fault.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.kernel.handmade import assemble, slot
from ubypass.abi import (
    FRAME_SYSFLAGS,
    Abi,
    Dispatch,
    Entry,
    Exit,
    ExitFlag,
    ExitReason,
    Fault,
    Source,
    Translation,
)

__all__ = ["LOOP", "PAGE", "PAGES", "SIZE", "Regions"]

PAGE = 4096
#: The address of the first page of programs/pages.c.
PAGES = 0x10000000
#: Offset of the loop in its page, and its size, in bytes.
LOOP, SIZE = 12, 26

_RESUME, _ACCESS, _CONSTANT, _CONSTANT_END = 7, 10, 17, 21  # offsets in the loop
_CALL = 186  # gettid
_MARK = 0x12345678  # in place of the constant
_REGISTERS = "rax", "rbx", "rbp", "r12"


@dataclass(frozen=True)
class Regions:
    """Makes translations for one module."""

    code: bytes
    at: dict[str, int]

    @classmethod
    def of(cls, abi: Abi) -> Regions:
        """Assembled once."""
        load = "".join(f"mov {r}, [rsp+{slot(r)}]\n" for r in _REGISTERS)
        store = "".join(f"mov [rsp+{slot(r)}], {r}\n" for r in _REGISTERS)
        code, at = assemble(f"""
entry:  {load}
again:  add rbp, rax
access: add rbp, [r12]
        add rbp, {_MARK}
        dec rbx
        jz  done
        mov eax, {_CALL}
        pushfq
        pop [rsp+{FRAME_SYSFLAGS}]
site:   .fill {abi.dispatch_size}, 1, 0xcc
        jmp again
done:   mov dword ptr [rsp], 0
        jmp tail
pre:    mov dword ptr [rsp], 1
        jmp tail
post:   mov dword ptr [rsp], 2
        jmp tail
fault:  mov dword ptr [rsp], 3
tail:   {store}
        .byte 0xe9
leave:  .long 0
""")
        return cls(code, at)

    def translation(self, start: int, loop: bytes, padding: int = 0) -> Translation:
        """Of the loop at ``start`` with these bytes, and so many bytes for nothing."""
        at, resume = self.at, start + _RESUME
        constant = loop[_CONSTANT:_CONSTANT_END]
        code = self.code.replace(struct.pack("<I", _MARK), constant)
        code += b"\xcc" * padding
        system = ExitFlag.CX_SYS | ExitFlag.R11_SYS
        flags = ExitFlag.SLOT_SYSFLAGS | system
        return Translation(
            code=code,
            entries=(Entry(resume, at["entry"], _CALL),),
            exits=(
                Exit(start + SIZE, ExitReason.FRONTIER, system, resume),
                Exit(resume - 2, ExitReason.WORK, flags, resume),
                Exit(
                    resume,
                    ExitReason.DISPATCHED,
                    flags | ExitFlag.DISPATCHED,
                    resume,
                ),
                Exit(start + _ACCESS, ExitReason.FAULT, system, resume),
            ),
            faults=(Fault(at["access"], at["fault"]),),
            dispatches=(Dispatch(at["site"], _CALL, at["pre"], at["post"], resume),),
            jumps=(at["leave"],),
            sources=(Source(start, loop),),
            constants=len(code),
        )
