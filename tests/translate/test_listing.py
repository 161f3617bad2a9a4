# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.translate.labelled import labelled
from tests.translate.test_golden import build
from ubypass.translate.listing import listing

_SOURCE = """
    first: mov eax, 39
    syscall
    start: nop
    mov rdx, [rbx]
    jmp first
"""


def test_every_user_instruction_is_listed() -> None:
    region, translation = build(_SOURCE)
    lines = listing(region, translation)
    shown = {line.user_ip for line in lines if line.user_ip is not None}
    assert shown == {i.ip for b in region.blocks.values() for i in b.instructions}
    offsets = [line.offset for line in lines if line.offset >= 0]
    assert offsets == sorted(set(offsets))


def test_notes_and_names() -> None:
    region, translation = build(_SOURCE)
    text = labelled(listing(region, translation))
    assert "<dispatch of call 39>" in text
    assert "cmp rbx,[limit]" in text
    assert "; entry 0x" in text
    assert "FAULT at" in text
    assert "jmp <leave>" in text
