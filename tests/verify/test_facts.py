# SPDX-License-Identifier: GPL-2.0-only
"""No two facts share a bit."""

from __future__ import annotations

from ubypass import abi
from ubypass.verify import facts, slots


def test_bits_are_distinct() -> None:
    bits = [1 << number for number in range(16)]
    bits += [facts.defined(number) for number in range(16)]
    bits += [facts.slot_defined(start) for start in slots.UNDEFINED]
    bits += [facts.USP, facts.FLAGS_SAVED, facts.SYSFLAGS_SAVED, facts.LEAVING]
    bits += [facts.RCX_COMPARED, facts.RCX_SMALL, facts.RCX_PAID]
    assert all(bit.bit_count() == 1 for bit in bits)
    assert len(set(bits)) == len(bits)
    assert sum(bits[16 : 32 + len(slots.UNDEFINED)]) == facts.DEFINED
    assert facts.slot_defined(abi.FRAME_LIMIT) == 0


def test_an_entry_knows_nothing_of_registers() -> None:
    assert facts.ENTRY & facts.USP
    known = facts.ENTRY & facts.DEFINED
    assert known == facts.defined(4)
    assert not facts.ENTRY & (facts.FLAGS_SAVED | facts.LEAVING | facts.COMPARED)
