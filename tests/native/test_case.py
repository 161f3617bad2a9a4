# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from tests.native.samples import TEXT, case_of, region_of
from tests.translate.assemble import assemble
from ubypass.abi import ExitReason, SiteKey
from ubypass.native.case import ABI, Case, arrange, make_case
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
    region = Region({TEXT: block}, (SiteKey(TEXT, 0),), ())
    case = make_case(region, translate(region, ABI), {TEXT: code}, arrange(TEXT))
    assert set(case.ends) == set(targets)
    assert case.sites == ()


_OVERWRITTEN = "add rdx, [rdi]; mov rax, [rsi]; cmp rax, rdx"


def _live(case: Case) -> dict[int, int]:
    return {
        leave.user_ip: mask
        for leave, mask in zip(case.translation.exits, case.live, strict=True)
        if leave.reason in (ExitReason.FAULT, ExitReason.SYSCALL)
    }


def test_flags_that_must_be_right() -> None:
    # Overwritten at once: nobody reads them, but the exit says that it shows them.
    case = case_of(_OVERWRITTEN)
    assert _live(case)[TEXT] == ARITHMETIC
    assert _live(case)[case.sites[0]] == ARITHMETIC


def test_flags_that_an_exit_does_not_promise() -> None:
    case = case_of(_OVERWRITTEN)
    text = case.areas[0].content
    assert text is not None
    silent = replace(case.translation, exact=())
    case = make_case(region_of(_OVERWRITTEN), silent, {TEXT: text}, arrange(TEXT))
    assert _live(case)[TEXT] == 0
    assert _live(case)[case.sites[0]] == ARITHMETIC
