# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import Mnemonic

from tests.region.asm import TEXT, decoded
from ubypass.abi import Abi
from ubypass.region.decode import Decoded
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate


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


@pytest.mark.parametrize(
    "code",
    [
        *("66c3", "66c20800", "66eb10", "66e911223344", "66e811223344", "667410"),
        *("660f8411223344", "66ffe0", "66ff10", "66e210", "66e310", "4866c3"),
    ],
)
def test_branches_that_vendors_take_differently_are_no_code(code: str) -> None:
    decoded = Decoded(
        BytesReader({0x1000: b"\x90" + bytes.fromhex(code) + b"\x90" * 8})
    )
    assert decoded.at(0x1000) is not None
    assert decoded.at(0x1001) is None
    # The first look is at the instruction itself, not from the one before.
    assert Decoded(BytesReader({0: bytes.fromhex(code) + b"\x90" * 8})).at(0) is None


@pytest.mark.parametrize(
    "code",
    # rep ret; the call of __tls_get_addr as compilers write it; 66h in an address
    ["f3c3", "666648e811223344", "e866112233", "0f8466112233", "67e366"],
)
def test_other_prefixes_of_branches_do_no_harm(code: str) -> None:
    raw = bytes.fromhex(code)
    found = Decoded(BytesReader({0: raw + b"\x90" * 8})).at(0)
    assert found is not None
    assert len(found) == len(raw)


def test_a_return_that_vendors_take_differently_stays_native() -> None:
    # mov eax, 39; syscall; nop; the return
    code = bytes.fromhex("b8270000000f059066c3") + b"\xcc" * 8
    spec = RegionSpec((HotEntry(0x1007, 39),))
    region = discover(spec, BytesReader({0x1000: code}))
    translation = translate(region, Abi(dispatch_size=8, dispatch_vector_size=12))
    assert {leave.user_ip for leave in translation.exits} == {0x1008}
    assert not translation.dispatches
