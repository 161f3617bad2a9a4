# SPDX-License-Identifier: GPL-2.0-only
"""Every line of the allow-list against a third decoder.

The verifier asks capstone; here iced has its say as well: which general registers
an instruction writes and reads without naming them, how wide its memory operand
is, whether flags change. An instruction that does more than the list says is the
classic hole.
"""

from __future__ import annotations

import iced_x86
import pytest
from iced_x86 import CpuidFeature, OpAccess, Register

from tests.verify.encoder import encodings
from ubypass.verify.allowlist import GPR, Form, Key, allowed
from ubypass.verify.decode import Decoder
from ubypass.verify.errors import Refusal
from ubypass.verify.insn import Access, Insn
from ubypass.verify.predicates import COMPARED, DEFINED_SHIFT

_LINES = [(key, form) for key, forms in allowed().items() for form in forms]
_NUMBER = {getattr(Register, name.upper()): n for n, name in enumerate(GPR)}
_READS = (
    *(OpAccess.READ, OpAccess.READ_WRITE, OpAccess.COND_READ),
    OpAccess.READ_COND_WRITE,
)
_WRITES = (
    *(OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.COND_WRITE),
    OpAccess.READ_COND_WRITE,
)
_RSP = 1 << 4
_VECTORS = {
    *range(Register.XMM0, Register.ZMM31 + 1),
    *range(Register.K0, Register.K7 + 1),
    *range(Register.MM0, Register.MM7 + 1),
    *range(Register.ST0, Register.ST7 + 1),
}
_FPU_FLAGS = (
    iced_x86.RflagsBits.C0
    | iced_x86.RflagsBits.C1
    | iced_x86.RflagsBits.C2
    | iced_x86.RflagsBits.C3
)
#: Extensions of the processor without any state of their own; every other one has
#: registers or control words of the vector or x87 state, ...
_INTEGER = {
    getattr(CpuidFeature, name)
    for name in (
        *("INTEL8086", "INTEL186", "INTEL286", "INTEL386", "INTEL486", "X64"),
        *("ADX", "BMI1", "BMI2", "CMOV", "CMPXCHG16B", "CX8", "LZCNT", "MOVBE"),
        *("MULTIBYTENOP", "POPCNT", "PREFETCHW", "RDPID", "RDTSCP", "TSC"),
    )
}
#: ... but for these, which came with one of them.
_STATELESS = {
    *("crc32", "lfence", "mfence", "movnti", "sfence"),
    *("prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2"),
}
_factory = iced_x86.InstructionInfoFactory()
_DECODER = Decoder()


def _label(line: tuple[Key, Form]) -> str:
    (family, prefix, opmap, opcode), form = line
    return f"{form.names[0]}-{'_ve'[family]}{prefix:x}.{opmap}.{opcode:02x}"


def _masks(one: iced_x86.Instruction) -> tuple[int, int]:
    """General registers read and written, rsp aside, as iced sees it."""
    read = written = 0
    for used in _factory.info(one).used_registers():
        number = _NUMBER.get(iced_x86.RegisterExt.full_register(used.register))
        if number is not None:
            read |= (used.access in _READS) << number
            written |= (used.access in _WRITES) << number
    return read & ~_RSP, written & ~_RSP


def _compare(raw: bytes, insn: Insn) -> None:
    one = iced_x86.Decoder(64, raw).decode()
    assert one.len == insn.length
    read, written = _masks(one)
    ours = 0
    for number, _ in insn.writes:
        ours |= 1 << number
    assert not written & ~ours, f"iced: writes {written:#x}"
    # A register that only decides about a partial write counts as read with us.
    sets, reads = insn.sets >> DEFINED_SHIFT, insn.reads >> DEFINED_SHIFT
    assert not sets & 0xFFFF & ~written
    assert not read & ~(reads | sets), f"iced: reads {read:#x}"
    changes = one.rflags_modified & ~_FPU_FLAGS
    assert not changes or not insn.keeps & COMPARED
    registers = [one.op_register(number) for number in range(one.op_count)]
    assert insn.vector or not any(register in _VECTORS for register in registers)
    if insn.access is Access.USER:
        size = iced_x86.MemorySizeExt.size(one.memory_size)
        assert size <= insn.size, f"iced: {size} bytes"
        uses = _factory.info(one).used_memory()
        touched = any(use.access != OpAccess.NO_MEM_ACCESS for use in uses)
        assert insn.must_fault or not touched


@pytest.mark.parametrize("line", _LINES, ids=_label)
def test_a_third_decoder_agrees(line: tuple[Key, Form]) -> None:
    for what, raw in encodings(*line):
        try:
            insn, _ = _DECODER.decode(raw, 0, len(raw))
        except Refusal:
            continue  # test_allowlist.py says which lines may
        try:
            _compare(raw, insn)
        except AssertionError as error:
            raise AssertionError(f"{what} {raw.hex()}: {error}") from None


@pytest.mark.parametrize("line", _LINES, ids=_label)
def test_whoever_uses_the_vector_state_says_so(line: tuple[Key, Form]) -> None:
    """By what the processor calls it, so that no operand has to name a register:
    a conversion of a number in memory rounds as MXCSR says and sets flags there.
    """
    _, form = line
    for what, raw in encodings(*line):
        try:
            insn, _ = _DECODER.decode(raw, 0, len(raw))
        except Refusal:
            continue
        came_with = set(iced_x86.Decoder(64, raw).decode().cpuid_features())
        stateful = not came_with <= _INTEGER and form.names[0] not in _STATELESS
        assert insn.vector or not (stateful or form.fp), f"{what} {raw.hex()}"
