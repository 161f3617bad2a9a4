# SPDX-License-Identifier: GPL-2.0-only
"""Compare a register with a constant without changing the flags.

Code behind an indirect branch rarely reads the user's flags, but after a miss they must
still be correct. ``lea``-like arithmetic and ``jrcxz`` neither read nor change flags,
and cost less than saving the flags.
"""

from __future__ import annotations

from ubypass.translate.context import Context
from ubypass.translate.emit import Buffer
from ubypass.translate.invariant import require
from ubypass.translate.labels import Label
from ubypass.translate.registers import RCX
from ubypass.translate.state import Flags

__all__ = ["branch_unless", "worthwhile"]


def worthwhile(context: Context) -> bool:
    """Whether a compare that changes flags would have to save them first."""
    state = context.state
    return state.flags == Flags.HOST and bool(context.live) and state.remat is None


def branch_unless(context: Context, target: int, value: int, other: Label) -> Buffer:
    """Emit a branch to ``other`` unless host register ``target`` holds ``value``.

    ``target`` is not the first scratch register, which is overwritten. Returns the code
    that has to run first at ``other``.
    """
    code, state, s0 = context.code, context.state, context.s0
    require(target != s0, "the target is in the register that is overwritten")
    require(context.assignment.host[RCX] == RCX, "rcx has another host register")
    first = Buffer()
    if not state.in_host(RCX):
        code.move_imm(RCX, -value)
        code.add_up(RCX, target)
        code.jmp_if_rcx(other)
        return first
    code.move_imm(s0, -value)
    code.add_up(s0, target)
    code.exchange(RCX, s0)
    code.jmp_if_rcx(other)
    code.move(RCX, s0)
    first.exchange(RCX, s0)
    # The verifier does not follow the value through this code.
    state.forget_interval(RCX)
    return first
