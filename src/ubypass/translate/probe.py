# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of a function that would not be translated, and the reasons.

Lowers every block from an ordinary start state and discards the code: an instruction
counts as translated if no rule of the translator refuses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from iced_x86 import Instruction

from ubypass.abi import Abi
from ubypass.region.graph import Block, Region, predecessors
from ubypass.region.liveness import flags_live
from ubypass.translate.block import AddressUse, Prepared, lower_block
from ubypass.translate.exit_keys import ExitKeys
from ubypass.translate.insn_info import InsnInfo, Unsupported, insn_info
from ubypass.translate.node import Node
from ubypass.translate.registers import RSP, assign_registers
from ubypass.translate.state import Flags, State

__all__ = ["Refusal", "refusals"]


@dataclass(frozen=True)
class Refusal:
    """An instruction that ends its block, and the reason."""

    instruction: Instruction
    reason: str


def refusals(blocks: Sequence[Block], abi: Abi) -> list[Refusal]:
    """The instructions of ``blocks``, a function, that are not translated.

    The rest of the block behind each is lowered separately, as if control entered
    there. Branches count as translated wherever they lead.
    """
    by_start = {block.start: _with_target(block) for block in blocks}
    region = Region(by_start, (), (), predecessors(by_start))
    live = flags_live(region)
    known = {start: _insn_infos(block) for start, block in by_start.items()}
    usable = [f for infos in known.values() for f in infos if isinstance(f, InsnInfo)]
    used = Counter(user for info in usable for user in (*info.reads, *info.writes))
    assignment = assign_registers(
        [used[user] for user in range(16)],
        frozenset[int]().union(*(info.implicit for info in usable)),
    )
    exits = ExitKeys(assignment)
    found: list[Refusal] = []
    for start, block in by_start.items():
        found += _in_block(block, known[start], live[start], exits, abi)
    return found


def _with_target(block: Block) -> Block:
    """The block with a target for a return or indirect branch, which needs one."""
    if block.targets or not block.open:
        return block
    return replace(block, targets=(block.start,))


def _insn_infos(block: Block) -> list[InsnInfo | str]:
    found: list[InsnInfo | str] = []
    for instruction in block.instructions:
        try:
            found.append(insn_info(instruction))
        except Unsupported as why:
            found.append(str(why))
    return found


def _in_block(
    block: Block,
    known: list[InsnInfo | str],
    live: tuple[int, ...],
    exits: ExitKeys,
    abi: Abi,
) -> list[Refusal]:
    found: list[Refusal] = []
    position = 0
    while position < len(known):
        usable: list[InsnInfo] = []
        refused = ""
        for info in known[position:]:
            if isinstance(info, str):
                refused = info
                break
            usable.append(info)
        rest = block.instructions[position:]
        prepared = Prepared(
            replace(block, start=int(rest[0].ip), instructions=rest),
            tuple(usable),
            live[position:],
            AddressUse(),
            refused,
        )
        node = Node(prepared.block.start, 0, False)
        fragment = lower_block(prepared, node, _state(live[position]), exits, abi)
        if fragment.stopped is None:
            break
        at, reason = fragment.stopped
        found.append(Refusal(rest[at], reason))
        position += at + 1
    return found


def _state(live: int) -> State:
    state = State()
    state.load(RSP)
    state.clamp(RSP)
    state.move_flags(Flags.SLOT if live else Flags.DEAD)
    return state
