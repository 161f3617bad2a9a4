# SPDX-License-Identifier: GPL-2.0-only
"""Lower one block from a given state; the result can be thrown away and redone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ubypass.abi import Abi, ExitReason
from ubypass.region.graph import Block, End
from ubypass.translate.context import Context, Fragment
from ubypass.translate.control import lower_end
from ubypass.translate.emit import CC_S
from ubypass.translate.facts import Facts, Unsupported
from ubypass.translate.flags import clobber
from ubypass.translate.lower import lower
from ubypass.translate.registers import Homes
from ubypass.translate.stack import STACK, lower_stack
from ubypass.translate.state import Node, State
from ubypass.translate.string import elements, is_string, lower_string


@dataclass(frozen=True, slots=True)
class Prepared:
    """A block with what is known of it before any state is.

    ``facts`` stop short before the first instruction that is not translated;
    ``refused`` says why, ``reason`` is that of the exit there. ``live`` are the flags
    live before each instruction and at the end. ``charge`` is what the block takes
    from the budget, 0 if nothing. ``bases`` are user registers that some access uses
    as an address before they get a new value. ``turns``: how often a loop of this block
    alone is written out.
    """

    block: Block
    facts: tuple[Facts, ...]
    refused: str
    live: tuple[int, ...]
    charge: int
    bases: frozenset[int]
    reason: ExitReason = ExitReason.UNSUPPORTED
    turns: int = 1


def lower_block(
    prepared: Prepared, node: Node, entry: State, homes: Homes, abi: Abi
) -> Fragment:
    """Code for the block when control comes in with ``entry``."""
    block = prepared.block
    fragment = Fragment(node)
    code = fragment.hot
    context = Context(homes, abi, entry.copy(), code, block.start, prepared.live[0])
    code.mark(block.start)
    if prepared.charge and not node.turn:
        charge = prepared.charge * prepared.turns
        clobber(context)
        code.charge(charge)
        code.jcc(CC_S, context.exit(ExitReason.BUDGET))
        context.state.charged(charge)
    ends = block.end != End.FALL
    plain = prepared.facts
    if ends and not prepared.refused:
        plain = plain[:-1]
    for position, facts in enumerate(plain):
        context.ip = facts.ip
        context.live = prepared.live[position]
        code.mark(facts.ip)
        if not _attempt(context, plain[:position], facts, prepared.live[position + 1]):
            return fragment
    if prepared.refused:
        context.ip = block.instructions[len(plain)].ip
        context.live = prepared.live[len(plain)]
        code.mark(context.ip)
        code.jmp(context.exit(prepared.reason))
        return fragment
    last = prepared.facts[-1] if ends else None
    if last is not None:
        context.ip = last.ip
        context.live = prepared.live[-2]
        code.mark(last.ip)
    before = context.state.copy()
    snapshot = code.snapshot()
    try:
        lower_end(context, fragment, block, last)
    except (Unsupported, ValueError):
        code.rollback(snapshot)
        fragment.cold.rollback((0,) * 6)
        fragment.edges.clear()
        fragment.branch = fragment.fall = None
        context.state = before
        context.code = code
        _leave(context)
    return fragment


def _attempt(
    context: Context, earlier: Sequence[Facts], facts: Facts, live_after: int
) -> bool:
    """Lower one instruction, or leave before it; False: left."""
    before = context.state.copy()
    snapshot = context.code.snapshot()
    try:
        if facts.instruction.mnemonic in STACK:
            lower_stack(context, facts)
        elif is_string(facts):
            lower_string(context, facts, elements(facts, earlier))
        else:
            lower(context, facts, live_after)
    except (Unsupported, ValueError):
        context.code.rollback(snapshot)
        context.state = before
        _leave(context)
        return False
    return True


def _leave(context: Context) -> None:
    context.code.jmp(context.exit(ExitReason.UNSUPPORTED))
