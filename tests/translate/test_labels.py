# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.abi import ExitReason
from ubypass.translate.labels import Constant, ExitKey, Label, Tail


def test_labels_are_compared_by_identity() -> None:
    one, other = Label(), Label()
    assert one != other
    tails = Tail(((8, 3),)), Tail(((8, 3),))
    assert tails[0] != tails[1]
    assert len({*tails, one, other}) == 4


def test_constants_are_shared_by_value() -> None:
    assert Constant(5) == Constant(5)
    assert len({Constant(5), Constant(5), Constant(6)}) == 2


def test_an_exit_knows_how_far_rsp_is_from_its_host_register() -> None:
    tail = Tail(())
    plain = ExitKey(0x1000, ExitReason.FAULT, 0, 0, tail)
    assert (plain.offset, plain.stack, plain.target) == (0, None, -1)
    moved = ExitKey(0x1000, ExitReason.FAULT, 0, 0, tail, stack=(12, -16))
    assert moved.offset == -16
