# SPDX-License-Identifier: GPL-2.0-only
"""Every name that capstone has for a part of a general register is known."""

from __future__ import annotations

from capstone import x86_const as cs

from ubypass.verify.allowlist import GPR
from ubypass.verify.capstone_decoder import CapstoneDecoder, Operand
from ubypass.verify.insn import NONE
from ubypass.verify.registers import ADDRESS, REGISTERS, VECTOR, gpr64, gpr_of


def _operands(text: str) -> list[Operand]:
    found = CapstoneDecoder().decode(bytes.fromhex(text))
    assert found is not None
    return found.operands


def test_parts() -> None:
    assert REGISTERS[cs.X86_REG_RSP] == (4, 8, False)
    assert REGISTERS[cs.X86_REG_AH] == (0, 1, True)
    assert REGISTERS[cs.X86_REG_SPL] == (4, 1, False)
    assert REGISTERS[cs.X86_REG_R15W] == (15, 2, False)
    for number, name in enumerate(GPR):
        sizes = [size for gpr, size, high in REGISTERS.values() if gpr == number]
        assert set(sizes) == {1, 2, 4, 8}, name
    assert len(REGISTERS) == 16 * 4 + 4


def test_addresses_and_vectors() -> None:
    assert len(ADDRESS) == 18
    assert not VECTOR & set(REGISTERS)
    for name in ("XMM0", "YMM15", "ZMM31", "K7", "MM3", "ST5"):
        assert getattr(cs, f"X86_REG_{name}") in VECTOR


def test_operands() -> None:
    to, source = _operands("4889c8")  # mov rax, rcx
    assert (gpr64(to), gpr64(source)) == (0, 1)
    to, source = _operands("89c8")
    assert (gpr64(to), gpr64(source)) == (NONE, NONE)
    assert gpr_of(cs.X86_REG_ECX) == 1
    assert gpr_of(cs.X86_REG_XMM0) == NONE
