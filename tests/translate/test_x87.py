# SPDX-License-Identifier: GPL-2.0-only
"""The address of the last x87 instruction gets to the frame, and nothing else."""

from __future__ import annotations

from tests.translate.assemble import assemble
from ubypass.abi import FRAME_FIP, Abi, ExitReason, Translation
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

_TEXT = 0x7F12_3456_7000


def _translated(
    body: str, abi: Abi | None = None
) -> tuple[Translation, dict[str, int]]:
    text = f"first: mov eax, 39\nsyscall\nstart: {body}\njmp first"
    code, labels = assemble(text, _TEXT)
    spec = RegionSpec((HotEntry(labels["start"], 39),))
    region = discover(spec, BytesReader({_TEXT: code}))
    return translate(region, abi or Abi()), labels


def _stores(translation: Translation) -> list[tuple[int, int]]:
    """(half, value) of the stores to the slot, in the order of the code."""
    code, found = translation.code, []
    for at in range(len(code) - 8):
        for half in (0, 4):
            if code[at : at + 4] == bytes((0xC7, 0x44, 0x24, FRAME_FIP + half)):
                value = int.from_bytes(code[at + 4 : at + 8], "little")
                found.append((half, value))
    return found


def test_upper_half_once_in_a_block() -> None:
    translation, at = _translated("one: fld1\ntwo: fldz\nfaddp\nfstp st(0)")
    assert translation.x87
    assert translation.vector
    low = [value for half, value in _stores(translation) if half == 0]
    assert low[:2] == [at["one"] & 0xFFFFFFFF, at["two"] & 0xFFFFFFFF]
    assert len(low) == 4
    high = [value for half, value in _stores(translation) if half == 4]
    assert high == [_TEXT >> 32]


def test_next_block_does_not_rely_on_the_one_before() -> None:
    translation, _ = _translated("fld1\ntest rbx, rbx\nje over\nfldz\nover: fabs")
    assert len([1 for half, _ in _stores(translation) if half == 4]) >= 3


def test_control_instructions_and_mmx_need_none() -> None:
    translation, _ = _translated("fnstcw [rdi]\nfwait\npaddb mm0, mm1\nemms")
    assert _stores(translation) == []
    assert translation.vector
    assert not translation.x87


def test_a_processor_that_keeps_the_address_to_itself() -> None:
    translation, at = _translated("here: fld1", Abi(x87=False))
    assert not translation.x87
    assert _stores(translation) == []
    reasons = {leave.user_ip: leave.reason for leave in translation.exits}
    assert reasons[at["here"]] == ExitReason.UNSUPPORTED
