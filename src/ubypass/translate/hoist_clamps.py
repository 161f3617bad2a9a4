# SPDX-License-Identifier: GPL-2.0-only
"""Hoist clamps of addresses above the instruction that sets flags.

A clamp contains a compare. Between an instruction that sets flags and one that reads
them the flags would have to be saved and restored, which costs much more than the
clamp. Above the first of the two a clamp has no extra cost. An early exit there leaves
all user state unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from ubypass.translate.context import Context
from ubypass.translate.insn_info import InsnInfo
from ubypass.translate.interval import CLAMPED, serves
from ubypass.translate.registers import RSP, gpr64
from ubypass.translate.sandbox import guard_and_clamp
from ubypass.translate.spill import load
from ubypass.translate.state import Flags, Loc

__all__ = ["hoist_clamps", "hoist_source_clamp"]

# Instructions to look ahead: compilers do not move a compare further from its branch.
_WINDOW = 8


def hoist_clamps(
    context: Context, infos: Sequence[InsnInfo], live: Sequence[int], position: int
) -> None:
    """Clamp the bases of accesses that follow while the flags of the instruction at
    ``position``, about to be lowered, are live.

    ``live`` are the flags live before each instruction.
    """
    state, host = context.state, context.assignment.host
    if state.flags == Flags.HOST and context.live and state.remat is None:
        # A clamp here would have to save the earlier flags.
        return
    written = set(infos[position].writes)
    for at in range(position + 1, min(position + _WINDOW, len(infos))):
        if not live[at]:
            return
        info = infos[at]
        memory = info.memory
        if (
            memory is not None
            and memory.access
            and memory.base is not None
            and memory.index is None
            and not (memory.fs or memory.narrow)
        ):
            base, displacement, size = memory.base, memory.displacement, memory.size
            if (
                base != RSP
                and base not in written
                and host[base] >= 0
                and state.loc[base] != Loc.S
                and not serves(state.intervals[base], displacement, size)
                and serves(CLAMPED, displacement, size)
                and not context.is_nonpointer(base)
            ):
                load(context, base)
                if not serves(state.intervals[base], displacement, size):
                    guard_and_clamp(context, base)
        written.update(info.writes)


def hoist_source_clamp(context: Context, info: InsnInfo) -> None:
    """Clamp the source of a move about to be lowered whose destination is soon an
    address: then one clamp serves both registers.
    """
    state, assignment = context.state, context.assignment
    if state.flags == Flags.HOST and context.live and state.remat is None:
        return
    to, source = (operand.user for operand in info.operands)
    if (
        source != RSP
        and to != RSP
        and not (assignment.spilled(to) or assignment.spilled(source))
        and info.operands[0].register == gpr64(to)
        and state.intervals[source] is None
        and state.loc[source] != Loc.S
        and not context.is_nonpointer(source)
    ):
        load(context, source)
        guard_and_clamp(context, source)
