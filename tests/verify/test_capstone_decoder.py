# SPDX-License-Identifier: GPL-2.0-only
"""What is read from capstone's memory is what its own objects say."""

from __future__ import annotations

from typing import Any

import capstone
from capstone import x86_const as cs

from tests.verify.encoder import encodings
from ubypass.verify.allowlist import allowed
from ubypass.verify.capstone_decoder import CapstoneDecoder, Operand

_OWN = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
_OWN.detail = True


def _operand(operand: Operand | Any) -> list[int]:
    common = [operand.type, operand.size, bool(operand.avx_zero_opmask)]
    if operand.type == cs.X86_OP_REG:
        return [*common, operand.reg]
    if operand.type == cs.X86_OP_IMM:
        return [*common, operand.imm]
    mem = operand.mem
    return [*common, mem.segment, mem.base, mem.index, mem.scale, mem.disp]


def test_every_form() -> None:
    capstone_decoder = CapstoneDecoder()
    seen = 0
    for key, forms in allowed().items():
        for form in forms:
            for what, raw in encodings(key, form):
                wanted: Any = next(_OWN.disasm(raw, 0, 1), None)
                found = capstone_decoder.decode(raw)
                if wanted is None:
                    assert found is None, what
                    continue
                assert found is not None, what
                assert found.size == wanted.size
                if "cc" not in form.attributes:
                    assert found.name == wanted.insn_name()
                assert found.mnemonic == wanted.mnemonic
                assert found.eflags == wanted.eflags
                assert [*map(_operand, found.operands)] == [
                    *map(_operand, wanted.operands)
                ]
                assert (found.read, found.written) == wanted.regs_access()
                seen += 1
    assert seen > 1000


def test_what_is_no_instruction() -> None:
    capstone_decoder = CapstoneDecoder()
    assert capstone_decoder.decode(b"\x06") is None
    assert capstone_decoder.decode(b"") is None
    assert capstone_decoder.decode(b"\x48") is None
    # And it goes on after that.
    found = capstone_decoder.decode(b"\x90\xff")
    assert found is not None
    assert (found.name, found.size) == ("nop", 1)
