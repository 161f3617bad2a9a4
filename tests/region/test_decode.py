# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from iced_x86 import Mnemonic

from tests.region.asm import TEXT, decoded
from ubypass.region.decode import Decoded
from ubypass.region.reader import BytesReader


def test_one_instruction() -> None:
    code, _ = decoded("mov eax, 39\nsyscall")
    first = code.at(TEXT)
    assert first is not None
    assert first.mnemonic == Mnemonic.MOV
    assert first.next_ip == TEXT + 5


def test_outside_and_invalid() -> None:
    code, _ = decoded("nop\n.byte 0x06")
    assert code.at(TEXT - 1) is None
    assert code.at(TEXT + 2) is None
    # 06 was "push es" once; it is no instruction in 64-bit mode.
    assert code.at(TEXT + 1) is None


def test_instruction_cut_off_by_the_end() -> None:
    code = Decoded(BytesReader({0x5000: b"\x48\xb8\x01\x02"}))
    assert code.at(0x5000) is None


def test_across_windows() -> None:
    code = Decoded(BytesReader({0x10FE: b"\x90\x48\xc7\xc0\x01\x00\x00\x00"}))
    across = code.at(0x10FF)
    assert across is not None
    assert across.len == 7
    assert code.bytes_at(0x10FE, 8) == b"\x90\x48\xc7\xc0\x01\x00\x00\x00"
    assert code.bytes_at(0x10FD, 1) == b""


def test_return_points() -> None:
    code, labels = decoded(
        """
        call f
        a: call rax
        b: call [rbx+8]
        c: call [r12+0x1000]
        d: nop
        f: ret
        """
    )
    for name in "abcd":
        assert code.is_return_point(labels[name]), name
    assert not code.is_return_point(labels["f"])
    assert not code.is_return_point(TEXT)
