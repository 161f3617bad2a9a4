# SPDX-License-Identifier: GPL-2.0-only
"""The end of a basic block, determined by its last instruction alone."""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, FlowControl, Instruction, OpKind

from ubypass.region.graph import End

__all__ = ["block_end"]

_NEXT: Final[int] = FlowControl.NEXT
_CALL: Final[int] = FlowControl.CALL
_JUMP: Final[int] = FlowControl.UNCONDITIONAL_BRANCH
_BRANCH: Final[int] = FlowControl.CONDITIONAL_BRANCH
_SYSCALL: Final[int] = Code.SYSCALL
_NEAR: Final[int] = OpKind.NEAR_BRANCH64

#: Ends whose targets have to be learned.
_INDIRECT: Final[dict[int, End]] = {
    FlowControl.RETURN: End.RET,
    FlowControl.INDIRECT_BRANCH: End.JUMP_INDIRECT,
    FlowControl.INDIRECT_CALL: End.CALL_INDIRECT,
}


def block_end(
    last: Instruction, flow: int, next_ip: int
) -> tuple[End, tuple[int, ...]]:
    """The end of a block with the last instruction ``last``, and the targets in its
    encoding, in the order of :class:`End`.

    ``flow`` is its ``FlowControl``, ``next_ip`` the address behind it: callers have
    both from decoding.
    """
    if flow == _NEXT:
        return End.FALL, (next_ip,)
    if flow == _CALL and last.code == _SYSCALL:
        return End.SYSCALL, (next_ip,)
    if flow in (_JUMP, _BRANCH, _CALL) and last.op_count and last.op0_kind == _NEAR:
        target: int = last.near_branch_target
        if flow == _JUMP:
            return End.JUMP, (target,)
        if flow == _BRANCH:
            return End.BRANCH, (target, next_ip)
        return End.CALL, (target,)
    return _INDIRECT.get(flow, End.STOP), ()
