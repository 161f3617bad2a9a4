# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.experience."""

from __future__ import annotations

from ubypass.engine.blocks import Block
from ubypass.engine.experience import Experience


def _block(native_ns: int) -> Block:
    return Block("loses", native_ns, stop=False, until=None)


def test_the_last_word_counts() -> None:
    known = Experience()
    known.tell(0x1002, _block(300))
    known.tell(0x1002, _block(700))
    known.tell(0x1002, None)
    assert known.found[0x1002].native_ns == 700


def test_it_does_not_grow_for_ever() -> None:
    known = Experience(sites=2)
    for ip in (0x1002, 0x1012, 0x1022):
        known.tell(ip, _block(300))
    assert set(known.found) == {0x1002, 0x1012}
    known.tell(0x1012, _block(500))
    assert known.found[0x1012].native_ns == 500
