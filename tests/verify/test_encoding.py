# SPDX-License-Identifier: GPL-2.0-only
"""Lengths and fields agree with capstone; prefixes without effect do not pass."""

from __future__ import annotations

import random
from collections.abc import Iterator

import capstone
import pytest

from ubypass.verify.encoding import RIP, parse
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE

_CAPSTONE = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
_LIKELY = bytes.fromhex(
    "0f 38 3a 66 f2 f3 f0 64 48 41 c4 c5 89 8b c7 83 04 24 05 44 84 c0"
)
_WITHOUT_EFFECT = (
    *("6666 89c8", "4866 89c8", "67 8b07", "65 8b07", "2e 8b07", "f3 89c8", "f2 89c8"),
    *("40 89c8", "42 89c8", "f0 89c8", "f0 8b07", "64 89c8", "66 48 89c8", "66 88c8"),
    *("66 e900000000", "66 0f8400000000", "48 eb00", "66 c5f1efc0", "48 88c8"),
    "f3f2 0f10c0",
)


def _samples(count: int) -> Iterator[bytes]:
    """Random bytes, rich in prefixes and escapes; always the same ones."""
    rng = random.Random(count)
    for _ in range(count):
        likely = (rng.choice(_LIKELY) for _ in range(15))
        yield bytes(b if rng.random() < 0.6 else rng.randrange(256) for b in likely)


def test_length_agrees_or_capstone_refuses() -> None:
    accepted = 0
    for code in _samples(20000):
        try:
            encoding = parse(code, 0, len(code))
        except Refusal:
            continue
        accepted += 1
        for _, size, _, _ in _CAPSTONE.disasm_lite(code, 0, 1):
            assert size == encoding.length, code.hex()
    assert accepted > 1000


def test_truncated_is_never_accepted() -> None:
    for code in _samples(2000):
        try:
            length = parse(code, 0, len(code)).length
        except Refusal:
            continue
        for end in range(length):
            with pytest.raises(Refusal):
                parse(code, 0, end)


@pytest.mark.parametrize(
    ("text", "base", "index", "scale", "disp"),
    [
        ("488b07", 7, NONE, 1, 0),
        ("498b4424f8", 12, NONE, 1, -8),
        ("4b8b44bd10", 13, 15, 4, 16),
        ("488b0510000000", RIP, NONE, 1, 16),
        ("488b042500100000", NONE, NONE, 1, 0x1000),
        ("488b04cd00100000", NONE, 1, 8, 0x1000),
        ("488b842400080000", 4, NONE, 1, 0x800),
    ],
)
def test_address(text: str, base: int, index: int, scale: int, disp: int) -> None:
    encoding = parse(bytes.fromhex(text), 0, len(text) // 2)
    found = (encoding.base, encoding.index, encoding.scale, encoding.disp)
    assert found == (base, index, scale, disp)
    assert encoding.memory


@pytest.mark.parametrize("text", _WITHOUT_EFFECT)
def test_prefix_without_effect(text: str) -> None:
    code = bytes.fromhex(text)
    with pytest.raises(Refusal) as caught:
        parse(code, 0, len(code))
    assert caught.value.rule is Rule.ENCODING
