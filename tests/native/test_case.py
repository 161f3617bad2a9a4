# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.native.samples import TEXT, case_of
from tests.translate.assemble import assemble
from ubypass.abi import ExitReason
from ubypass.native.case import ABI, arrange, make_case
from ubypass.native.live import ARITHMETIC
from ubypass.region.decode import Decoded
from ubypass.region.graph import Block, End, Region
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate


def test_text_is_whole_pages() -> None:
    case = case_of("nop")
    text = case.areas[0]
    assert text.code
    assert text.content is not None
    assert len(text.content) == text.size == 4096
    assert text.content.endswith(b"\xcc")
    assert case.sites == (TEXT + 1,)


def test_ends_are_where_control_leaves() -> None:
    code, _ = assemble("add eax, 1; jz . + 0x40", TEXT)
    decoded = Decoded(BytesReader({TEXT: code + b"\xcc" * 64}))
    first, second = decoded.at(TEXT), decoded.at(TEXT + 3)
    assert first is not None
    assert second is not None
    targets = (second.near_branch_target, second.next_ip)
    block = Block(TEXT, (first, second), second.next_ip, End.BRANCH, targets)
    region = Region({TEXT: block}, (TEXT,), ())
    case = make_case(region, translate(region, ABI), {TEXT: code}, arrange(TEXT))
    assert set(case.ends) == set(targets)
    assert case.sites == ()


def test_flags_that_must_be_right() -> None:
    # Overwritten at once: nobody sees them.
    case = case_of("add rdx, [rdi]; mov rax, [rsi]; cmp rax, rdx")
    live = {
        leave.user_ip: mask
        for leave, mask in zip(case.translation.exits, case.live, strict=True)
        if leave.reason in (ExitReason.FAULT, ExitReason.SYSCALL)
    }
    assert live[TEXT] == 0
    assert live[case.sites[0]] == ARITHMETIC
