# SPDX-License-Identifier: GPL-2.0-only
"""No two predicates share a bit."""

from __future__ import annotations

from ubypass import abi
from ubypass.verify import predicates, slots


def test_bits_are_distinct() -> None:
    bits = [1 << number for number in range(16)]
    bits += [predicates.defined(number) for number in range(16)]
    bits += [predicates.slot_defined(start) for start in slots.UNDEFINED]
    bits += [
        predicates.USER_RSP,
        predicates.FLAGS_SAVED,
        predicates.SYSFLAGS_SAVED,
        predicates.LEAVING,
    ]
    bits += [predicates.RCX_COMPARED, predicates.RCX_SMALL, predicates.RCX_PAID]
    assert all(bit.bit_count() == 1 for bit in bits)
    assert len(set(bits)) == len(bits)
    assert sum(bits[16 : 32 + len(slots.UNDEFINED)]) == predicates.DEFINED
    assert predicates.slot_defined(abi.FRAME_LIMIT) == 0


def test_an_entry_knows_nothing_of_registers() -> None:
    assert predicates.ENTRY & predicates.USER_RSP
    known = predicates.ENTRY & predicates.DEFINED
    assert known == predicates.defined(4)
    assert not predicates.ENTRY & (
        predicates.FLAGS_SAVED | predicates.LEAVING | predicates.COMPARED
    )
