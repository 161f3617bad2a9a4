# SPDX-License-Identifier: GPL-2.0-only
"""The accesses that are allowed to each slot of the frame (rule *memory*).

Frame slots are ``[rsp + disp]``; ``docs/abi.md`` §1 defines the allowed writers.
Depends only on the layout in :mod:`ubypass.abi`.
"""

from __future__ import annotations

from ubypass import abi
from ubypass.verify.errors import Refusal, Rule

__all__ = ["RSP_SLOT", "UNDEFINED", "is_user_register", "slot"]

_TMPS = (abi.FRAME_TMP0, abi.FRAME_TMP1, abi.FRAME_TMP2)
_USER = {abi.FRAME_REGS + offset: name for name, offset in abi.REGS_OFFSET.items()}
_WRITABLE = {*_TMPS, abi.FRAME_TARGET, *_USER}
_READABLE = _WRITABLE | {
    abi.FRAME_LIMIT,
    abi.FRAME_FSBASE,
    abi.FRAME_FLAGS,
    abi.FRAME_SYSFLAGS,
}
#: Slots that hold stale kernel stack data until generated code writes them.
UNDEFINED = (*_TMPS, abi.FRAME_TARGET)
#: The slot of the user's rsp, which the module checks at an entry.
RSP_SLOT = abi.FRAME_REGS + abi.REGS_OFFSET["rsp"]
_SLOT_SIZE = 8


def slot(disp: int, size: int, read: bool, write: bool) -> int:
    """The slot's offset for an access of ``size`` bytes at ``[rsp + disp]``.

    Raises Refusal when the access is not within one slot, or the slot does not allow
    this kind of access.
    """
    start = disp & -_SLOT_SIZE
    if size <= 0 or disp + size > start + _SLOT_SIZE:
        raise Refusal(Rule.MEMORY, f"{size} bytes at [rsp{disp:+#x}] leave the slot")
    if start not in _READABLE:
        raise Refusal(Rule.MEMORY, f"[rsp{disp:+#x}] is not a slot for code")
    if write and start not in _WRITABLE:
        raise Refusal(Rule.MEMORY, f"slot [rsp+{start:#x}] must not be written")
    if not (read or write):
        raise Refusal(Rule.MEMORY, "address of the frame without an access")
    return start


def is_user_register(start: int) -> bool:
    """Whether the slot at frame offset ``start`` is a user register."""
    return start in _USER
