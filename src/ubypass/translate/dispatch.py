# SPDX-License-Identifier: GPL-2.0-only
"""Translate ``syscall``: what surrounds the place that the module fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ubypass.abi import ExitFlag, ExitReason
from ubypass.region.graph import Block
from ubypass.translate.context import Context, Fragment
from ubypass.translate.emit import CC_NE
from ubypass.translate.flags import to_sysflags
from ubypass.translate.registers import (
    ARGUMENTS,
    CALLER_SAVED,
    R11,
    RAX,
    RCX,
    SLOT,
)
from ubypass.translate.shown import SYSTEM
from ubypass.translate.state import Flags, Loc, State
from ubypass.translate.values import ensure

_INT3: Final = 0xCC


def dispatches(block: Block, args: Mapping[int, int]) -> bool:
    """Whether the ``syscall`` at the end of ``block`` becomes a dispatch.

    ``args`` is :attr:`ubypass.abi.Abi.args`.
    """
    return block.nr is not None and block.nr in args


def lower_syscall(context: Context, fragment: Fragment, block: Block) -> None:
    """Emit the ``syscall`` at the end of ``block``."""
    code, state = context.code, context.state
    if block.nr is None or not dispatches(block, context.abi.args):
        code.jmp(context.exit(ExitReason.SYSCALL))
        return
    to_sysflags(context)
    if not block.nr_known:
        ensure(context, RAX)
        code.cmp_imm32(RAX, block.nr)
        code.jcc(CC_NE, context.exit(ExitReason.SYSCALL))
    for user in sorted(CALLER_SAVED - {RAX, RCX}):
        if not context.homes.spilled(user) and state.loc[user] == Loc.H:
            code.frame_store(SLOT[user], context.homes.host[user])
            state.loc[user] = Loc.B
    assert all(state.loc[u] in (Loc.M, Loc.B) for u in ARGUMENTS)
    before = context.exit(ExitReason.WORK)
    after_state(state, block.next_ip)
    context.ip = block.next_ip
    after = context.exit(ExitReason.DISPATCHED, int(ExitFlag.DISPATCHED))
    code.dispatches.append((len(code.code), block.nr, before, after))
    code.code += bytes((_INT3,)) * context.abi.dispatch_size
    fragment.fall = fragment.edge(block.targets[0], state)


def after_state(state: State, resume: int) -> None:
    """Change ``state`` to what holds right after a dispatch."""
    state.new_segment()
    for user in CALLER_SAVED:
        state.loc[user] = Loc.M
        state.intervals[user] = None
    state.loc[RAX] = Loc.H
    state.loc[RCX] = state.loc[R11] = Loc.S
    state.cx = resume
    state.flags = Flags.SYS
    state.again = None
    state.shown = SYSTEM
    state.stale = 0
    state.held = None
    state.returns = ()
