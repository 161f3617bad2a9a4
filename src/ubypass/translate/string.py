# SPDX-License-Identifier: GPL-2.0-only
"""Translate string instructions: movs, stos, lods, scas, cmps, with rep or without.

They keep their opcode. Their registers are in the host registers of the same names in
every region and the direction flag is known to be clear; the translator adds a clamp
for each pointer and, with rep, a charge of the count (docs/abi.md, section 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from iced_x86 import Instruction, MemorySizeExt, Mnemonic, OpKind, Register

from ubypass.abi import REP_MAX, ExitReason
from ubypass.translate.context import Context
from ubypass.translate.emit import CC_A, CC_S
from ubypass.translate.flags import clobber, materialize_flags, to_host
from ubypass.translate.insn_info import InsnInfo, Unsupported
from ubypass.translate.interval import serves, shifted
from ubypass.translate.invariant import require
from ubypass.translate.registers import RAX, RCX, RDI, RSI
from ubypass.translate.sandbox import guard_and_clamp
from ubypass.translate.spill import load
from ubypass.translate.state import Flags

__all__ = ["is_string", "lower_string"]


@dataclass(frozen=True, slots=True)
class _Form:
    """Pointers that move, whether rax takes part, whether flags are compared."""

    pointers: tuple[int, ...]
    accumulator: bool = False
    compares: bool = False


def _forms(letters: str, form: _Form) -> dict[int, _Form]:
    return {getattr(Mnemonic, f"{letters}{size}"): form for size in "BWDQ"}


_FORMS: Final[dict[int, _Form]] = {
    **_forms("MOVS", _Form((RDI, RSI))),
    **_forms("STOS", _Form((RDI,), accumulator=True)),
    **_forms("LODS", _Form((RSI,), accumulator=True)),
    **_forms("SCAS", _Form((RDI,), accumulator=True, compares=True)),
    **_forms("CMPS", _Form((RDI, RSI), compares=True)),
}
_OPERANDS: Final = frozenset({OpKind.MEMORY_ESRDI, OpKind.MEMORY_SEG_RSI})


def is_string(info: InsnInfo) -> bool:
    """Whether this module translates the instruction."""
    # movsd and cmpsd are also names of vector instructions.
    return info.mnemonic in _FORMS and not info.vector


def lower_string(context: Context, info: InsnInfo, live_after: int) -> None:
    """Emit the instruction; ``live_after`` are the flags live behind it.

    Raises :class:`Unsupported`.
    """
    instruction = info.instruction
    form = _FORMS[info.mnemonic]
    repeats = instruction.has_rep_prefix or instruction.has_repne_prefix
    _check(instruction, form)
    size = MemorySizeExt.size(instruction.memory_size)
    state, code = context.state, context.code
    for user in (*form.pointers, *((RAX,) if form.accumulator else ())):
        load(context, user)
    for user in form.pointers:
        reach = size * (REP_MAX if repeats else 1)
        if not serves(state.intervals[user], 0, reach):
            guard_and_clamp(context, user)
    if repeats:
        load(context, RCX)
    materialize_flags(context, info.writes)
    if repeats:
        _pay(context)
    use = info.flags
    if use.changes and live_after & ~use.kills:
        require(state.flags != Flags.DEAD, "dead flags are read")
        to_host(context)
    if repeats:
        # At a fault they show the progress so far.
        for user in info.writes:
            state.write_partly(user)
    code.fault(context.exit(ExitReason.FAULT))
    code.user(instruction)
    for user in info.writes:
        moved = user in form.pointers and not repeats
        interval = shifted(state.intervals[user], size) if moved else None
        state.write(user, interval)
    if use.changes:
        state.set_flags(None, use.kills)
        state.set_remat(None)


def _pay(context: Context) -> None:
    """Exit if there are too many elements, else charge them to the budget."""
    clobber(context, context.s1)
    leave = context.exit(ExitReason.BUDGET)
    context.code.cmp_constant(RCX, REP_MAX)
    context.code.jcc(CC_A, leave)
    context.code.charge_count()
    context.code.jcc(CC_S, leave)


def _check(instruction: Instruction, form: _Form) -> None:
    kinds = [instruction.op_kind(n) for n in range(instruction.op_count)]
    if sum(kind in _OPERANDS for kind in kinds) != len(form.pointers):
        raise Unsupported("string instruction with addresses of 32 bits")
    if instruction.segment_prefix != Register.NONE:
        raise Unsupported("string instruction with a segment prefix")
    if instruction.has_repne_prefix and not form.compares:
        raise Unsupported("prefix without meaning")
