# SPDX-License-Identifier: GPL-2.0-only
"""What x87 instructions need besides: the address that the FPU is to remember.

The FPU notes where each of them stands, and user mode can ask. So behind each the frame
gets the user's address of it, and the module puts that into the FPU at exits
(docs/abi.md, section 9). Behind, because one that faults has not set it.
"""

from __future__ import annotations

from ubypass.abi import FRAME_FIP
from ubypass.translate.context import Context

__all__ = ["note_pointer"]


def note_pointer(context: Context) -> None:
    """The x87 instruction at ``context.ip`` has been emitted."""
    low, high = context.ip & 0xFFFFFFFF, context.ip >> 32
    context.code.store_half(FRAME_FIP, low)
    if context.fip != high:
        context.code.store_half(FRAME_FIP + 4, high)
        context.fip = high
