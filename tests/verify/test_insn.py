# SPDX-License-Identifier: GPL-2.0-only
"""What a record says when nobody says anything: little is kept, nothing is known."""

from __future__ import annotations

from ubypass.verify.insn import Access, Insn, Kind, Op
from ubypass.verify.predicates import COMPARED, RCX_COMPARED


def test_defaults_keep_nothing_of_the_flags() -> None:
    insn = Insn(1)
    assert not insn.keeps & (COMPARED | RCX_COMPARED)
    assert (insn.sets, insn.writes, insn.access) == (0, (), Access.NONE)
    assert not any((insn.tail, insn.prelude, insn.may_fault, insn.target_store))


def test_plain_is_false_and_records_are_themselves() -> None:
    """The walk tests kinds, operations and accesses for truth."""
    assert not Kind.PLAIN
    assert not Op.NOTHING
    assert not Access.NONE
    assert Insn(1) != Insn(1)
