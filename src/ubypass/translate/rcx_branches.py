# SPDX-License-Identifier: GPL-2.0-only
"""Translate branches on rcx: ``jrcxz``, ``loop``, ``loope``, ``loopne``.

They have a range of 127 bytes only and change no flags. A test of rcx and a conditional
jump replace them; the user's flags are saved around the test.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, Instruction, Mnemonic, Register

from ubypass.translate.context import Context, Fragment
from ubypass.translate.emit import CC_E, CC_NE
from ubypass.translate.flags import clobber, materialize_flags, to_host
from ubypass.translate.iced import IcedCode, IcedRegister
from ubypass.translate.insn_info import InsnInfo
from ubypass.translate.registers import RCX, resized
from ubypass.translate.spill import load

__all__ = ["RCX_BRANCHES", "lower_rcx_branch"]

#: cmovcc that keeps the count if the flag has the wanted value.
_KEEPS: Final[dict[int, tuple[IcedCode, IcedCode]]] = {
    Mnemonic.LOOPE: (Code.CMOVE_R32_RM32, Code.CMOVE_R64_RM64),
    Mnemonic.LOOPNE: (Code.CMOVNE_R32_RM32, Code.CMOVNE_R64_RM64),
}
#: Forms with an address size prefix, which count in ecx.
_NARROW: Final = frozenset(
    {
        Code.JECXZ_REL8_64,
        Code.LOOP_REL8_64_ECX,
        Code.LOOPE_REL8_64_ECX,
        Code.LOOPNE_REL8_64_ECX,
    }
)
RCX_BRANCHES: Final = frozenset(
    {Mnemonic.JRCXZ, Mnemonic.JECXZ, Mnemonic.LOOP, Mnemonic.LOOPE, Mnemonic.LOOPNE}
)


def lower_rcx_branch(
    context: Context, fragment: Fragment, info: InsnInfo, taken: int, following: int
) -> None:
    """Emit the branch to ``taken``, else to ``following`` (user addresses)."""
    mnemonic = info.mnemonic
    narrow = info.instruction.code in _NARROW
    file = Register.EAX if narrow else Register.RAX
    tested = load(context, RCX)
    if mnemonic in (Mnemonic.JRCXZ, Mnemonic.JECXZ):
        condition = CC_E
    else:
        condition = CC_NE
        materialize_flags(context, (RCX,))
        if mnemonic in _KEEPS:
            to_host(context)
        _decrement(context, file)
        context.state.write(RCX)
        if mnemonic in _KEEPS:
            # The count if the flag has the wanted value, else 0.
            context.code.move_imm(context.s0, 0)
            keeps = _KEEPS[mnemonic][0 if narrow else 1]
            to, source = resized(file, context.s0), resized(file, RCX)
            context.code.user(Instruction.create_reg_reg(keeps, to, source))
            tested = context.s0
    clobber(context, context.s1)
    register = resized(file, tested)
    test = Code.TEST_RM32_R32 if narrow else Code.TEST_RM64_R64
    context.code.user(Instruction.create_reg_reg(test, register, register))
    context.branch(fragment, condition, taken, following)


def _decrement(context: Context, file: IcedRegister) -> None:
    """Decrement without changing flags; 32 bits are zero-extended."""
    if file == Register.RAX:
        context.code.lea(RCX, RCX, -1)
    else:
        context.code.lea32(RCX, RCX, -1)
