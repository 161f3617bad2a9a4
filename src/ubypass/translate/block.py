# SPDX-License-Identifier: GPL-2.0-only
"""Lower one block from a given start state to a fragment of code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ubypass.abi import Abi, ExitReason
from ubypass.region.graph import Block, End
from ubypass.translate.clone import user_address
from ubypass.translate.context import Context, Fragment
from ubypass.translate.control import lower_end
from ubypass.translate.emit import CC_S
from ubypass.translate.flags import clobber
from ubypass.translate.hoist_clamps import hoist_clamps, hoist_source_clamp
from ubypass.translate.insn_info import InsnInfo, Unsupported
from ubypass.translate.lower import lower
from ubypass.translate.node import Node
from ubypass.translate.registers import RegisterAssignment
from ubypass.translate.remat import COMPARES
from ubypass.translate.returns import stored_by
from ubypass.translate.stack import STACK, lower_stack
from ubypass.translate.state import Flags, State
from ubypass.translate.string import is_string, lower_string

__all__ = ["Prepared", "lower_block"]

_NONE: Final[frozenset[int]] = frozenset()


@dataclass(init=False)
class Prepared:
    """A block with everything that does not depend on its start state.

    ``infos`` stop short before the first instruction that is not translated;
    ``refused`` says why, ``reason`` is the exit reason there. ``live`` are the flags
    live before each instruction and at the end. ``charge`` is the number of
    instructions that the block charges to the budget, or 0. ``bases`` are user
    registers that some access uses as an address before they get a new value,
    ``indexes`` likewise. ``turns``: how often the loop that the block is in is written
    out. For a block that charges the budget, ``inside`` are the registers that its loop
    reads, ``hoisted`` those worth a clamp ahead of the loop. ``copies`` are the
    positions of moves of an address that is used soon. ``nonpointers`` are the
    registers, one bit each, that hold no user address before each instruction and at
    the end; empty: none does.
    """

    block: Block
    infos: tuple[InsnInfo, ...]
    refused: str
    live: tuple[int, ...]
    charge: int
    bases: frozenset[int]
    indexes: frozenset[int]
    reason: ExitReason
    turns: int
    inside: frozenset[int]
    hoisted: frozenset[int]
    copies: frozenset[int]
    nonpointers: tuple[int, ...]

    def __init__(
        self,
        block: Block,
        infos: tuple[InsnInfo, ...],
        refused: str,
        live: tuple[int, ...],
        charge: int,
        bases: frozenset[int],
        indexes: frozenset[int],
        reason: ExitReason = ExitReason.UNSUPPORTED,
        turns: int = 1,
        inside: frozenset[int] = _NONE,
        hoisted: frozenset[int] = _NONE,
        copies: frozenset[int] = _NONE,
        nonpointers: tuple[int, ...] = (),
    ) -> None:
        # Written out, it is compiled.
        self.block, self.infos, self.refused = block, infos, refused
        self.live, self.charge, self.reason = live, charge, reason
        self.bases, self.indexes, self.turns = bases, indexes, turns
        self.inside, self.hoisted, self.copies = inside, hoisted, copies
        self.nonpointers = nonpointers
        #: Addresses of the instructions, computed when first needed.
        self.ips: list[int] = []


def lower_block(
    prepared: Prepared,
    node: Node,
    entry: State,
    assignment: RegisterAssignment,
    abi: Abi,
) -> Fragment:
    """Code for the block when control comes in with ``entry``."""
    while True:
        fragment = Fragment(node)
        try:
            _lower_all(prepared, fragment, entry.copy(), assignment, abi)
        except _Stuck as stuck:
            # Lower again up to there: rare, and cheaper than to save the state before
            # each instruction.
            prepared = replace(
                prepared,
                infos=prepared.infos[: stuck.position],
                refused=str(stuck.reason),
                reason=ExitReason.UNSUPPORTED,
            )
        else:
            return fragment


class _Stuck(Exception):
    """The instruction at ``position`` of the block cannot be translated."""

    def __init__(self, position: int, reason: Exception) -> None:
        super().__init__(position)
        self.position = position
        self.reason = reason


def _lower_all(
    prepared: Prepared,
    fragment: Fragment,
    state: State,
    assignment: RegisterAssignment,
    abi: Abi,
) -> None:
    block = prepared.block
    code = fragment.hot
    start = user_address(block.start)
    context = Context(assignment, abi, state, code, start, prepared.live[0])
    code.mark(start)
    ends = block.end != End.FALL and not prepared.refused
    plain = prepared.infos[:-1] if ends else prepared.infos
    position = 0
    ips, strange = prepared.ips, prepared.nonpointers
    if not ips and plain:
        ips = prepared.ips = [instruction.ip for instruction in block.instructions]
    charged_at = -1
    if prepared.charge and not fragment.node.turn:
        charged_at = _where_to_charge(prepared, state, len(plain))
        if charged_at == 0:
            _charge(prepared, context)
    try:
        for position, info in enumerate(plain):
            context.ip = ips[position]
            context.live = prepared.live[position]
            if strange:
                context.nonpointers = strange[position]
            code.mark(context.ip)
            if position == charged_at and position:
                _charge(prepared, context)
            if info.flags.changes and prepared.live[position + 1]:
                context.compared = info.mnemonic in COMPARES
                hoist_clamps(context, prepared.infos, prepared.live, position)
            elif position in prepared.copies:
                hoist_source_clamp(context, info)
            _lower_one(context, info, prepared.live[position + 1])
        position = len(plain)
        if prepared.refused:
            context.ip = block.instructions[position].ip
            context.live = prepared.live[position]
            code.mark(context.ip)
            code.jmp(context.exit(prepared.reason))
            fragment.stopped = (position, prepared.refused)
            return
        last = prepared.infos[-1] if ends else None
        if last is not None:
            context.ip = block.last.ip
            context.live = prepared.live[-2]
            if strange:
                context.nonpointers = strange[-2]
            code.mark(context.ip)
        lower_end(context, fragment, block, last)
    except (Unsupported, ValueError) as reason:
        raise _Stuck(position, reason) from reason


def _where_to_charge(prepared: Prepared, state: State, most: int) -> int:
    """The position of the instruction before which the block charges the budget: the
    first one, or the first one at which the flags are dead.
    """
    if state.flags == Flags.HOST and prepared.live[0] and state.remat is None:
        for position in range(1, most):
            if not prepared.live[position]:
                return position
    return 0


def _charge(prepared: Prepared, context: Context) -> None:
    charge = prepared.charge * prepared.turns
    clobber(context, context.s1)
    context.code.charge(charge)
    context.code.jcc(CC_S, context.exit(ExitReason.BUDGET))
    context.state.charged(charge)


def _lower_one(context: Context, info: InsnInfo, live_after: int) -> None:
    if info.mnemonic in STACK:
        lower_stack(context, info)
    elif is_string(info):
        lower_string(context, info, live_after)
    else:
        lower(context, info, live_after)
    stored_by(context.state, info)
