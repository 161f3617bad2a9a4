# SPDX-License-Identifier: GPL-2.0-only
"""Translate the end of a block: branches, calls, returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from iced_x86 import OpKind

from ubypass.abi import ExitReason
from ubypass.region.graph import Block, End
from ubypass.translate.cached_address import CONSTANT
from ubypass.translate.clone import user_address
from ubypass.translate.context import Context, Fragment
from ubypass.translate.dispatch import lower_syscall
from ubypass.translate.emit import CC_E, CC_NE, Buffer
from ubypass.translate.flagless_compare import branch_unless, worthwhile
from ubypass.translate.flags import clobber, to_host
from ubypass.translate.insn_info import InsnInfo, Unsupported
from ubypass.translate.labels import Edge, Label
from ubypass.translate.rcx_branches import RCX_BRANCHES, lower_rcx_branch
from ubypass.translate.registers import RSP
from ubypass.translate.remat import equal
from ubypass.translate.returns import top
from ubypass.translate.sandbox import load_word
from ubypass.translate.spill import load, materialize_rsp, read_spilled
from ubypass.translate.stack import move_stack, push_constant, stack_access
from ubypass.translate.state import Flags

__all__ = ["lower_end"]

# iced's ConditionCode numbers O NO B AE E NE BE A S NS P NP L GE LE G from 1,
# in the order of the encodings.
_FIRST_CONDITION: Final = 1


def lower_end(
    context: Context, fragment: Fragment, block: Block, info: InsnInfo | None
) -> None:
    """Emit the last instruction of ``block`` (None: it falls through).

    Raises :class:`Unsupported`.
    """
    if block.end == End.FALL:
        context.fall(fragment, block.targets[0])
        return
    assert info is not None
    if block.end == End.JUMP:
        context.fall(fragment, block.targets[0])
    elif block.end == End.BRANCH:
        _branch(context, fragment, block, info)
    elif block.end == End.CALL:
        _push_return(context, block.next_ip)
        context.fall(fragment, block.targets[0])
    elif block.end == End.SYSCALL:
        lower_syscall(context, fragment, block)
    elif block.end == End.RET:
        _ret(context, fragment, block, info)
    elif block.end in (End.JUMP_INDIRECT, End.CALL_INDIRECT):
        _indirect(context, fragment, block, info)
    else:
        raise Unsupported("control cannot be followed")


def _branch(context: Context, fragment: Fragment, block: Block, info: InsnInfo) -> None:
    if info.mnemonic in RCX_BRANCHES:
        lower_rcx_branch(context, fragment, info, *block.targets)
        return
    if context.state.flags == Flags.DEAD:
        raise AssertionError("a branch reads flags that were given up")
    to_host(context)
    condition = info.instruction.condition_code - _FIRST_CONDITION
    taken, following = block.targets
    jumps = context.branch(fragment, condition, taken, following)
    if context.compared and condition in (CC_E, CC_NE):
        # Two values are equal on that edge, which determines all flags.
        same = jumps if condition == CC_E else context.state
        same.assume_equal(equal(context.assignment.host_rsp))


def _push_return(context: Context, to: int) -> None:
    push_constant(context, to, context.s0)
    context.state.push_return(to)


def _ret(context: Context, fragment: Fragment, block: Block, info: InsnInfo) -> None:
    pops = 8
    if info.instruction.op_count:
        pops += info.instruction.immediate(0)
    known = top(context.state.returns, context.state.offset)
    for start in block.targets:
        if user_address(start) == known:
            move_stack(context, pops)
            context.state.forget_returns_below()
            context.fall(fragment, start)
            return
    host_rsp, at = stack_access(context, 0)
    flagless = bool(block.targets) and worthwhile(context)
    target = context.s1 if flagless else context.s0
    match = _Match(target, ExitReason.RET_MISS, lambda hit: move_stack(hit, pops))
    if flagless:
        _load_target(context, context.s1, host_rsp, at)
        _match(context, fragment, block.targets, match)
    elif block.targets:
        wanted = user_address(block.targets[0])
        if context.cached_address() != (CONSTANT, wanted):
            # The call's constant is no longer cached. The next addresses are near it.
            context.code.move_imm(context.s0, wanted)
            context.cache_address((CONSTANT, wanted))
        clobber(context, context.s1)
        context.code.fault(context.exit(ExitReason.FAULT))
        context.code.cmp_memory(context.s0, host_rsp, at)
        other = Label()
        context.code.jcc(CC_NE, other)
        before = context.state.copy()
        before.cache_address(None)
        match.hit(context)
        context.fall(fragment, block.targets[0])
        context.switch(fragment.open_cold(), before)
        context.code.bind(other)
        _load_target(context, context.s0, host_rsp, at)
        _match(context, fragment, block.targets[1:], match)
    else:
        _load_target(context, context.s0, host_rsp, at)
        _match(context, fragment, block.targets, match)


def _load_target(context: Context, to: int, host_rsp: int, at: int) -> None:
    context.code.fault(context.exit(ExitReason.FAULT))
    context.code.load(to, host_rsp, at)


def _indirect(
    context: Context, fragment: Fragment, block: Block, info: InsnInfo
) -> None:
    if RSP in info.registers:
        materialize_rsp(context)
    if block.end == End.CALL_INDIRECT:
        # A guard and clamp on a miss path would come too late, and it needs a scratch
        # register.
        stack_access(context, -8)
    if info.memory is not None:
        # Not into s0: its cached address may be used behind a jump through a table.
        load_word(context, info.memory, context.s1)
        target = context.s1
    elif info.instruction.op0_kind == OpKind.REGISTER:
        user = info.operands[0].user
        if context.assignment.spilled(user):
            read_spilled(context, user, context.s1)
            target = context.s1
        else:
            target = load(context, user)
    else:
        raise Unsupported("far branch")
    if block.end == End.CALL_INDIRECT:
        _match(
            context,
            fragment,
            block.targets,
            _Match(
                target,
                ExitReason.CALL_MISS,
                lambda hit: _push_return(hit, block.next_ip),
            ),
        )
    else:
        _match(
            context,
            fragment,
            block.targets,
            _Match(target, ExitReason.JUMP_MISS, lambda hit: None),
        )


class _Match:
    """Host register with the target, exit if unknown, action on a hit."""

    # Written out, unlike a dataclass, it is compiled.
    def __init__(
        self, target: int, reason: ExitReason, hit: Callable[[Context], None]
    ) -> None:
        self.target: Final = target
        self.reason: Final = reason
        self.hit: Final = hit


def _match(
    context: Context, fragment: Fragment, targets: Sequence[int], match: _Match
) -> None:
    """Compare the target with the known ones; the first one falls through, unless
    one does already.
    """
    if not targets:
        context.code.jmp(context.exit(match.reason, target=match.target))
        context.switch(fragment.hot, context.state)
        return
    if match.target != context.s0 and worthwhile(context):
        _match_flagless(context, fragment, targets, match)
        return
    clobber(context, context.s1 if match.target != context.s1 else None)
    miss = context.exit(match.reason, target=match.target)
    # The comparison is known only on the first path.
    before = context.state
    code: Buffer = context.code
    for position, known in enumerate(targets):
        last = position == len(targets) - 1
        following = Label()
        code.cmp_constant(match.target, user_address(known))
        code.jcc(CC_NE, miss if last else following)
        context.switch(code, before.copy())
        _hit(context, fragment, known, match)
        before.cache_address(None)
        if not last:
            code = fragment.open_cold()
            code.bind(following)
    context.switch(fragment.hot, context.state)


def _hit(context: Context, fragment: Fragment, known: int, match: _Match) -> None:
    """Continue at ``known``: the first such edge falls through."""
    match.hit(context)
    edge = context.edge(fragment, known)
    if fragment.fall is None:
        fragment.fall_through(edge)
    else:
        context.code.jmp(Edge(fragment.node, edge))


def _match_flagless(
    context: Context, fragment: Fragment, targets: Sequence[int], match: _Match
) -> None:
    """Like :func:`_match`, without a change of the user's flags."""
    other = Label()
    first = branch_unless(context, match.target, user_address(targets[0]), other)
    before = context.state.copy()
    before.cache_address(None)
    _hit(context, fragment, targets[0], match)
    context.switch(fragment.open_cold(), before)
    context.code.bind(other)
    context.code.append(first)
    _match(context, fragment, targets[1:], match)
