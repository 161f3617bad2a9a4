# SPDX-License-Identifier: GPL-2.0-only
"""The x87 instruction pointer (FIP), which the FPU shows to user mode.

The FPU records the address of each x87 instruction. So code behind each one stores its
user address in the frame, and the module loads this address into the FPU at exits
(docs/abi.md, section 9). Behind, because an instruction that faults does not set FIP.
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
        context.note_fip(high)
