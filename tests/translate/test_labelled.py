# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from tests.translate.labelled import labelled
from ubypass.translate.listing import ListingLine

_LINES = [
    ListingLine(0x1000, "mov eax,[rbx]", 0, "mov eax,[rbx]", "fault -> 1f"),
    ListingLine(0x1002, "jne 0x1000", 2, "jne 0x0"),
    ListingLine(0x1004, "jmp [rip+0x10]", 8, "cmp rax,[0x30]"),
    ListingLine(None, "", 0xF, "jne 0x1f"),
    ListingLine(0x1010, "mov al,[0x2000]", 0x15, "mov al,[0x2000]"),
    ListingLine(None, "", 0x1F, "exit 0: FAULT at 0x1000"),
    ListingLine(None, "", 0x30, ".quad 0x30"),
]
_TEXT = """\
          0x1000  mov eax,[rbx]                        |   L0:  mov eax,[rbx]  ; fault -> L1
          0x1002  jne 0x1000                           |        jne L0
          0x1004  jmp [rip+0x10]                       |        cmp rax,[C0]
                                                       |        jne L1
          0x1010  mov al,[0x2000]                      |        mov al,[0x2000]
                                                       |   L1:  exit 0: FAULT at 0x1000
                                                       |   C0:  .quad 0x30
"""  # noqa: E501


def test_what_is_referred_to_has_a_label() -> None:
    assert labelled(_LINES) == _TEXT


def test_longer_code_changes_nothing_else() -> None:
    moved = [
        replace(_LINES[0], note="fault -> 21"),
        _LINES[1],
        replace(_LINES[2], offset=0xA, code="cmp rax,[0x32]"),
        replace(_LINES[3], offset=0x11, code="jne 0x21"),
        replace(_LINES[4], offset=0x17),
        replace(_LINES[5], offset=0x21),
        replace(_LINES[6], offset=0x32),
    ]
    assert labelled(moved) == _TEXT
