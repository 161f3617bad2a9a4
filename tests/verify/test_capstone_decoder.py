# SPDX-License-Identifier: GPL-2.0-only
"""What the verifier asks capstone for."""

from __future__ import annotations

from capstone import x86_const as cs

from tests.verify.encoder import encodings
from ubypass.verify.allowlist import allowed
from ubypass.verify.capstone_decoder import CapstoneDecoder, Decoded


def _decoded(code: str) -> Decoded:
    found = CapstoneDecoder().decode(bytes.fromhex(code))
    assert found is not None
    return found


def test_operands_flags_and_implicit_registers() -> None:
    found = _decoded("48 03 44 8b 10")  # add rax, [rbx + 4 * rcx + 16]
    assert (found.name, found.size) == ("add", 5)
    register, memory = found.operands
    assert (register.type, register.reg) == (cs.X86_OP_REG, cs.X86_REG_RAX)
    assert (memory.type, memory.size) == (cs.X86_OP_MEM, 8)
    assert (memory.mem.base, memory.mem.index) == (cs.X86_REG_RBX, cs.X86_REG_RCX)
    assert (memory.mem.scale, memory.mem.disp) == (4, 16)
    assert found.eflags & cs.X86_EFLAGS_MODIFY_CF
    assert {cs.X86_REG_RBX, cs.X86_REG_RCX} <= set(found.read)
    assert cs.X86_REG_EFLAGS in found.written
    found = _decoded("48 f7 e1")  # mul rcx
    assert {cs.X86_REG_RAX, cs.X86_REG_RDX} <= set(found.written)


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
    assert sum(known) > 1000
    assert sum(known) > 0.9 * len(known)


def test_what_is_no_instruction() -> None:
    capstone_decoder = CapstoneDecoder()
    assert capstone_decoder.decode(b"\x06") is None
    assert capstone_decoder.decode(b"") is None
    assert capstone_decoder.decode(b"\x48") is None
    # And it goes on after that.
    found = capstone_decoder.decode(b"\x90\xff")
    assert found is not None
    assert (found.name, found.size) == ("nop", 1)
