# SPDX-License-Identifier: GPL-2.0-only
"""Lower one block from a given start state to a fragment of code."""

from __future__ import annotations

from typing import Final

from iced_x86 import Instruction, Mnemonic, OpKind

from ubypass.abi import Abi, ExitReason
from ubypass.region.graph import Block, End
from ubypass.translate.budget import LOCKED, MOST_OWED, path_charges
from ubypass.translate.clone import user_address
from ubypass.translate.context import Context, Fragment
from ubypass.translate.control import lower_end
from ubypass.translate.emit import CC_S
from ubypass.translate.exit_keys import ExitKeys
from ubypass.translate.flags import clobber
from ubypass.translate.hoist_clamps import hoist_clamps, hoist_source_clamp
from ubypass.translate.insn_info import InsnInfo, Unsupported
from ubypass.translate.lower import lower
from ubypass.translate.node import Node
from ubypass.translate.remat import COMPARES
from ubypass.translate.stack import STACK, lower_stack
from ubypass.translate.state import Flags, State
from ubypass.translate.state_merge import Loop
from ubypass.translate.string import is_string, lower_string

__all__ = ["AddressUse", "Prepared", "lower_block"]

_NONE: Final[frozenset[int]] = frozenset()


class AddressUse:
    """The registers of a block that hold addresses.

    ``bases`` are user registers that some access uses as an address before their next
    write, ``indexes`` likewise. ``copies`` are the positions of moves of an address
    that is used soon. ``nonpointers`` are the registers, one bit each, that hold no
    user address before each instruction and at the end; empty if there are none.
    """

    def __init__(
        self,
        bases: frozenset[int] = _NONE,
        indexes: frozenset[int] = _NONE,
        copies: frozenset[int] = _NONE,
        nonpointers: tuple[int, ...] = (),
    ) -> None:
        self.bases: Final = bases
        self.indexes: Final = indexes
        self.copies: Final = copies
        self.nonpointers: Final = nonpointers


class Prepared:
    """A block with everything that does not depend on its start state.

    ``infos`` end before the first instruction that is not translated; ``refused`` says
    why, ``reason`` is the exit reason there. ``live`` are the flags live before each
    instruction and at the end. ``charge`` is the number of instructions that the block
    charges to the budget, or 0; if not 0, ``loop`` describes the loop that pays here.
    ``turns``: number of copies of the body of the block's loop. ``owed``: instructions
    of the path to the block that are not paid yet, at most.
    """

    def __init__(
        self,
        block: Block,
        infos: tuple[InsnInfo, ...],
        live: tuple[int, ...],
        addresses: AddressUse,
        refused: str = "",
        reason: ExitReason = ExitReason.UNSUPPORTED,
    ) -> None:
        self.block: Final = block
        self.infos: Final = infos
        self.live: Final = live
        self.addresses: Final = addresses
        self.refused: Final = refused
        self.reason: Final = reason
        self.charge = 0
        self.turns = 1
        self.owed = 0
        self.loop = Loop(_NONE, _NONE)
        self._ips: list[int] = []

    def pay(self, charge: int) -> None:
        """Let the block charge ``charge`` instructions to the budget."""
        self.charge = charge

    def owe(self, instructions: int) -> None:
        """On some path to the block so many instructions are not paid."""
        self.owed = instructions

    def head(self, loop: Loop) -> None:
        """The block is the head of ``loop``."""
        self.loop = loop

    def unroll(self, turns: int) -> None:
        """Unroll the block's loop to ``turns`` copies of its body."""
        self.turns = turns

    def cut(self, position: int, refused: str, reason: ExitReason) -> Prepared:
        """The block up to ``position`` only."""
        infos = self.infos[:position]
        new = Prepared(self.block, infos, self.live, self.addresses, refused, reason)
        new.charge, new.turns, new.loop = self.charge, self.turns, self.loop
        new.owed = self.owed
        return new

    def size(self) -> int:
        """Instructions of the block, as they count for the budget."""
        return sum(map(_weight, self.block.instructions))

    def path_charges(self, owed: int) -> tuple[dict[int, int], int]:
        """Positions at which the block charges for its path, if the path to it owes
        ``owed`` instructions, and the amounts; and what it owes at its end.

        The head of an unrolled loop has paid for all copies.
        """
        if self.turns > 1:
            return {}, owed
        weights = list(map(_weight, self.block.instructions[: len(self.infos)]))
        if sum(weights) + owed < MOST_OWED:
            return {}, sum(weights) + owed
        return path_charges(weights, self.live, owed)

    @property
    def ends(self) -> bool:
        """Whether the last instruction transfers control, and is translated."""
        return self.block.end != End.FALL and not self.refused

    def ips(self) -> list[int]:
        """User addresses of the instructions; computed when first needed."""
        if not self._ips:
            self._ips = [instruction.ip for instruction in self.block.instructions]
        return self._ips


def lower_block(
    prepared: Prepared,
    node: Node,
    entry: State,
    exits: ExitKeys,
    abi: Abi,
) -> Fragment:
    """Code for the block with the start state ``entry``."""
    while True:
        fragment = Fragment(node)
        try:
            _lower_all(prepared, fragment, entry.copy(), exits, abi)
        except _Stuck as stuck:
            # Lower again up to this position: rare, and cheaper than saving the state
            # before each instruction.
            why = str(stuck.reason)
            prepared = prepared.cut(stuck.position, why, ExitReason.UNSUPPORTED)
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
    exits: ExitKeys,
    abi: Abi,
) -> None:
    block = prepared.block
    code = fragment.hot
    start = user_address(block.start)
    context = Context(exits, abi, state, code, start, prepared.live[0])
    code.mark(start)
    ends = prepared.ends
    plain = prepared.infos[:-1] if ends else prepared.infos
    position = 0
    ips, strange = prepared.ips(), prepared.addresses.nonpointers
    copies = prepared.addresses.copies
    charged_at = -1
    if prepared.charge and not fragment.node.turn:
        charged_at = _where_to_charge(prepared, state, len(plain))
        if charged_at == 0:
            _charge(context, prepared.charge * prepared.turns)
    path_charges, _ = prepared.path_charges(0 if charged_at >= 0 else prepared.owed)
    try:
        for position, info in enumerate(plain):
            context.begin(
                ips[position],
                prepared.live[position],
                strange[position] if strange else 0,
            )
            if position == charged_at and position:
                _charge(context, prepared.charge * prepared.turns)
            elif position in path_charges:
                _charge(context, path_charges[position])
            if info.flags.changes and prepared.live[position + 1]:
                context.note_compare(info.mnemonic in COMPARES)
                hoist_clamps(context, prepared.infos, prepared.live, position)
            elif position in copies:
                hoist_source_clamp(context, info)
            _lower_one(context, info, prepared.live[position + 1])
        position = len(plain)
        if prepared.refused:
            context.begin(block.instructions[position].ip, prepared.live[position])
            code.jmp(context.exit(prepared.reason))
            fragment.stop(position, prepared.refused)
            return
        last = prepared.infos[-1] if ends else None
        if last is not None:
            context.begin(
                block.last.ip, prepared.live[-2], strange[-2] if strange else 0
            )
            if position in path_charges:
                _charge(context, path_charges[position])
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


def _weight(instruction: Instruction) -> int:
    """What the instruction counts for the budget."""
    locked = instruction.has_lock_prefix or (
        instruction.mnemonic == Mnemonic.XCHG
        and OpKind.MEMORY in (instruction.op0_kind, instruction.op1_kind)
    )
    return LOCKED if locked else 1


def _charge(context: Context, amount: int) -> None:
    clobber(context, context.s1)
    context.code.charge(amount)
    context.code.jcc(CC_S, context.exit(ExitReason.BUDGET))
    context.state.charge(amount)


def _lower_one(context: Context, info: InsnInfo, live_after: int) -> None:
    if info.mnemonic in STACK:
        lower_stack(context, info)
    elif is_string(info):
        lower_string(context, info, live_after)
    else:
        lower(context, info, live_after)
    state = context.state
    if state.returns:
        state.forget_overwritten(info)
