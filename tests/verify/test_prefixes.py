# SPDX-License-Identifier: GPL-2.0-only
"""Prefixes are read as the manuals say, and refused where they say nothing."""

from __future__ import annotations

import pytest

from ubypass.verify.errors import Refusal
from ubypass.verify.prefixes import EVEX, LEGACY, VEX, Prefixes, read


def _read(text: str) -> Prefixes:
    return read(bytes.fromhex(text))


def test_legacy() -> None:
    found = _read("f3 66 48 0f38f1c0")
    assert (found.family, found.opmap, found.pos) == (LEGACY, 2, 5)
    assert (found.prefix, found.data16, found.rex) == (0xF3, True, 0x48)
    found = _read("64 f0 83 00 01")
    assert found.fs
    assert found.lock
    assert found.opmap == 0


@pytest.mark.parametrize("text", ["c5f5d7c0", "c4e175d7c0"])
def test_vex_in_two_and_three_bytes(text: str) -> None:
    found = _read(text)
    assert (found.family, found.opmap, found.prefix) == (VEX, 1, 0x66)
    assert (found.rex, found.vvvv, found.length) == (0, 1, 1)


def test_vex_registers_are_inverted() -> None:
    # andn r8, r9, r10
    assert _read("c442 b0 f2c2").rex == 8 | 4 | 1
    assert _read("c442 b0 f2c2").vvvv == 9


def test_evex() -> None:
    # vpaddd zmm17{k3}{z}, zmm18, [r9+r10]{1to16}
    found = _read("62816dd3fe0c11")
    assert (found.family, found.opmap, found.prefix, found.pos) == (EVEX, 1, 0x66, 4)
    assert (found.high_reg, found.vvvv, found.length) == (True, 18, 2)
    assert (found.mask, found.zeroing, found.extra) == (3, True, True)
    assert found.rex & 3 == 3


@pytest.mark.parametrize(
    "text",
    [
        "65 8b07", "67 8b07", "2e 7400", "f2f3 a4", "6666 89c8", "4866 89c8",
        "4040 89c8", "66 c5f5d7c0", "f0 c5f5d7c0", "48 c5f5d7c0", "48 62f17d48fec1",
        "62f97d48fec1", "62f17948fec1",
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(Refusal):
        _read(text)


def test_cut_off() -> None:
    for text in ("66", "48", "0f", "c5", "c4e1", "62f17d"):
        with pytest.raises(IndexError):
            _read(text)
