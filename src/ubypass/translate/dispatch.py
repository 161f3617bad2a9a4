# SPDX-License-Identifier: GPL-2.0-only
"""Translate ``syscall``: the code around the space that the module fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ubypass.abi import ExitFlag, ExitReason
from ubypass.region.graph import Block
from ubypass.translate.context import Context, Fragment
from ubypass.translate.emit import CC_E, CC_NE
from ubypass.translate.flags import to_sysflags
from ubypass.translate.invariant import require
from ubypass.translate.labels import Edge, Label, Place
from ubypass.translate.registers import (
    ARGUMENTS,
    CALLER_SAVED,
    RAX,
    RCX,
    SLOT,
)
from ubypass.translate.spill import load
from ubypass.translate.state import Loc

__all__ = ["dispatches", "lower_syscall"]

#: Largest number of call numbers of one site: each takes a dispatch and a compare.
_MOST: Final = 8


def dispatches(block: Block, args: Mapping[int, int]) -> bool:
    """Whether the ``syscall`` at the end of ``block`` becomes a dispatch.

    ``args`` is :attr:`ubypass.abi.Abi.args`.
    """
    return any(nr in args for nr in block.numbers)


def lower_syscall(context: Context, fragment: Fragment, block: Block) -> None:
    """Emit the ``syscall`` at the end of ``block``."""
    code, state, args = context.code, context.state, context.abi.args
    numbers = [nr for nr in block.numbers if nr in args][:_MOST]
    if not numbers:
        code.jmp(context.exit(ExitReason.SYSCALL))
        return
    to_sysflags(context)
    if not block.nr_known:
        load(context, RAX)
    if not block.nr_known and len(numbers) == 1:
        code.cmp_imm32(RAX, numbers[0])
        code.jcc(CC_NE, context.exit(ExitReason.SYSCALL))
    # The call overwrites rcx, unless the kernel runs with FRED.
    lost = {RAX} if context.abi.fred else {RAX, RCX}
    for user in sorted(CALLER_SAVED - lost):
        if not context.assignment.spilled(user) and state.loc[user] == Loc.H:
            code.frame_store(SLOT[user], context.assignment.host[user])
            state.store(user)
    require(
        all(state.loc[u] in (Loc.M, Loc.B) for u in ARGUMENTS),
        "an argument of a system call is not in pt_regs",
    )
    others = Label()
    if len(numbers) > 1:
        # All registers are in the slots that any of the handlers reads.
        miss = context.exit(ExitReason.SYSCALL)
        code.cmp_imm32(RAX, numbers[0])
        code.jcc(CC_NE, others)
    before = context.exit(ExitReason.WORK)
    state.dispatch(block.next_ip, fred=context.abi.fred)
    context.resume_at(block.next_ip)
    after = context.exit(ExitReason.DISPATCHED, int(ExitFlag.DISPATCHED))
    room = context.abi.dispatch_size
    code.dispatch(numbers[0], before, after, room)
    end: Place | None = context.exit(ExitReason.FRONTIER) if block.stops else None
    goal: Place
    if end is not None and numbers[0] in block.stops:
        goal = end
        code.jmp(goal)
    else:
        fall = fragment.edge(block.targets[0], state)
        fragment.fall_through(fall)
        goal = Edge(fragment.node, fall)
    if len(numbers) == 1:
        return
    require(fragment.cold is None, "a dispatch in a block with cold code")
    cold = fragment.open_cold()
    cold.bind(others)
    places = {nr: Label() for nr in numbers[1:-1]}
    for nr, place in places.items():
        cold.cmp_imm32(RAX, nr)
        cold.jcc(CC_E, place)
    cold.cmp_imm32(RAX, numbers[-1])
    cold.jcc(CC_NE, miss)
    cold.dispatch(numbers[-1], before, after, room)
    cold.jmp(goal if end is None or numbers[-1] not in block.stops else end)
    for nr, place in places.items():
        cold.bind(place)
        cold.dispatch(nr, before, after, room)
        cold.jmp(goal if end is None or nr not in block.stops else end)
