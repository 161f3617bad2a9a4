# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import RflagsBits as F

from tests.region.asm import TEXT, decoded, program
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.liveness import ARITHMETIC, flag_use, flags_live


@pytest.mark.parametrize(
    ("text", "reads", "changes", "kills"),
    [
        ("add eax, ebx", 0, ARITHMETIC, ARITHMETIC),
        ("adc eax, ebx", F.CF, ARITHMETIC, ARITHMETIC),
        ("inc eax", 0, ARITHMETIC & ~F.CF, ARITHMETIC & ~F.CF),
        ("and eax, ebx", 0, ARITHMETIC, ARITHMETIC),
        ("pxor xmm0, xmm1", 0, 0, 0),
        ("cmovae eax, ebx", F.CF, 0, 0),
        ("setg al", F.ZF | F.SF | F.OF, 0, 0),
        # The count may be zero, and then nothing changes.
        ("shl eax, cl", 0, ARITHMETIC, 0),
        ("rol eax, cl", 0, F.CF | F.OF, 0),
        ("shl eax, 1", 0, ARITHMETIC, ARITHMETIC & ~F.AF),
        ("repe cmpsb", 0, ARITHMETIC, 0),
        ("repne scasd", 0, ARITHMETIC, 0),
        ("scasd", 0, ARITHMETIC, ARITHMETIC),
        # "Undefined" may mean unchanged.
        ("bt eax, ebx", 0, ARITHMETIC & ~F.ZF, F.CF),
        ("div ecx", 0, ARITHMETIC, 0),
        # r11 gets them all.
        ("syscall", ARITHMETIC, 0, 0),
        ("mov eax, ebx", 0, 0, 0),
        ("rcl eax, 1", F.CF, F.CF | F.OF, F.CF | F.OF),
    ],
)
def test_flag_use(text: str, reads: int, changes: int, kills: int) -> None:
    code, _ = decoded(text)
    instruction = code.at(TEXT)
    assert instruction is not None
    use = flag_use(instruction)
    assert (use.reads, use.changes, use.kills) == (reads, changes, kills)


def _live(source: str) -> dict[int, int]:
    reader, at = program(source)
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    found = {}
    for start, points in flags_live(region).items():
        for one, live in zip(region.blocks[start].instructions, points, strict=False):
            found[one.ip] = live
    return {at[name]: found[at[name]] for name in at if at[name] in found} | {
        -1: at["start"]
    }


def test_dead_before_a_compare() -> None:
    reader, at = program(
        """
        first: mov eax, 39
        syscall
        start: mov rdx, [rbx]
        cmp rdx, rsi
        middle: mov rdi, [rbx+8]
        je start
        jmp first
        """
    )
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    points = flags_live(region)[at["start"]]
    # Before the load and the compare nothing is live; between compare and branch
    # everything is, because the next system call copies all flags.
    assert points[0] == points[1] == 0
    assert points[2] == points[3] == ARITHMETIC


def test_all_live_where_nobody_has_looked() -> None:
    live = _live(
        """
        first: mov eax, 39
        syscall
        start: test eax, eax
        back: ret
        """
    )
    assert ARITHMETIC in live.values()
