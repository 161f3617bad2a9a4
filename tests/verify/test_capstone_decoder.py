# SPDX-License-Identifier: GPL-2.0-only
"""What the verifier asks capstone for."""

from __future__ import annotations

from capstone import x86_const as cs

from tests.verify.encoder import encodings
from ubypass.verify.allowlist import allowed
from ubypass.verify.capstone_decoder import (
    IMMEDIATE,
    MEMORY,
    REGISTER,
    CapstoneDecoder,
    Decoded,
)


def _decoded(code: str) -> Decoded:
    found = CapstoneDecoder().decode(bytes.fromhex(code))
    assert found is not None
    return found


def test_operands_flags_and_implicit_registers() -> None:
    found = _decoded("48 03 44 8b 10")  # add rax, [rbx + 4 * rcx + 16]
    assert (found.name, found.size) == ("add", 5)
    register, memory = found.operands
    assert (register.kind, register.register) == (REGISTER, cs.X86_REG_RAX)
    assert (register.read, register.written) == (True, True)
    assert (memory.kind, memory.size) == (MEMORY, 8)
    assert (memory.base, memory.index) == (cs.X86_REG_RBX, cs.X86_REG_RCX)
    assert (memory.scale, memory.disp) == (4, 16)
    assert found.eflags & cs.X86_EFLAGS_MODIFY_CF
    assert {cs.X86_REG_RBX, cs.X86_REG_RCX} <= set(found.read)
    assert cs.X86_REG_EFLAGS in found.written
    found = _decoded("48 f7 e1")  # mul rcx
    assert {cs.X86_REG_RAX, cs.X86_REG_RDX} <= set(found.written)
    _, number = _decoded("48 83 e0 f0").operands  # and rax, -16
    assert (number.kind, number.immediate) == (IMMEDIATE, -16)


def test_a_mnemonic_may_have_a_predicate() -> None:
    found = _decoded("0f c2 c1 01")
    assert found.mnemonic == "cmpltps"


def test_nearly_every_form_on_the_list_is_known() -> None:
    capstone_decoder = CapstoneDecoder()
    known = []
    for key, forms in allowed().items():
        for form in forms:
            for _, raw in encodings(key, form):
                found = capstone_decoder.decode(raw)
                known.append(found is not None and found.size <= len(raw))
                if found is not None:
                    _same_registers(capstone_decoder, raw, found)
    assert sum(known) > 1000
    assert sum(known) > 0.9 * len(known)


def _same_registers(decoder: CapstoneDecoder, raw: bytes, found: Decoded) -> None:
    """The registers are those that capstone itself lists."""
    insn = next(decoder.plain.disasm(raw[:15], 0, 1))
    read, written = insn.regs_access()
    assert set(found.read) == set(read), insn
    assert set(found.written) == set(written), insn


def test_what_is_no_instruction() -> None:
    capstone_decoder = CapstoneDecoder()
    assert capstone_decoder.decode(b"\x06") is None
    assert capstone_decoder.decode(b"") is None
    assert capstone_decoder.decode(b"\x48") is None
    # And it goes on after that.
    found = capstone_decoder.decode(b"\x90\xff")
    assert found is not None
    assert (found.name, found.size) == ("nop", 1)
