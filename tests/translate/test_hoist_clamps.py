# SPDX-License-Identifier: GPL-2.0-only
"""Clamps that come before the access that needs them."""

from __future__ import annotations

import pytest

from tests.translate.assemble import assemble
from tests.translate.pair import DATA, DATA_SIZE, both
from ubypass.abi import Abi, ExitReason
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate
from ubypass.verify.check import check

_TEXT = 0x7F00_0000_1000
_COMPARE = "cmp qword ptr [rbx+8], 0\n"
_BAD = 1 << 63


def _translated(source: str) -> bytes:
    """The code of the translation of ``source``."""
    text = f"first: mov eax, 39\nsyscall\nstart:\n{source}\njmp first"
    code, labels = assemble(text, _TEXT)
    spec = RegionSpec((HotEntry(labels["start"], 39),))
    abi = Abi()
    translation = translate(discover(spec, BytesReader({_TEXT: code})), abi)
    check(translation, abi)
    return translation.code


def _restores(source: str) -> int:
    """How often flags are brought back in the translation of ``source``."""
    return _translated(source).count(b"\x9e")  # sahf


@pytest.mark.parametrize(
    "between",
    [
        "mov rdx, [rsi]",
        "mov rdx, [rsi]\nmov rcx, [rdi+16]",
        "mov rax, rdx\nlea rdx, [rax+4]\nmov [rsi+8], rdx",
        "mov rdx, [rsi]\nmov rsi, [rsi]",
    ],
)
def test_flags_need_not_be_saved(between: str) -> None:
    assert _restores(f"{_COMPARE}{between}\njne first\nmov rax, rdx") == 0


@pytest.mark.parametrize(
    "between",
    [
        # It is another address by then.
        "mov rsi, [rsi]\nmov rdx, [rsi]",
        "lea rsi, [rdi+rdx*8]\nmov rdx, [rsi]",
        # Too far ahead to be seen.
        "mov r8, rdx\n" * 8 + "mov rdx, [rsi]",
    ],
)
def test_elsewhere_they_are(between: str) -> None:
    assert _restores(f"{_COMPARE}{between}\njne first\nmov rax, rdx") > 0


@pytest.mark.parametrize(
    "source",
    [
        f"{_COMPARE}mov rdx, [rsi]\njne first\nmov rax, rdx",
        f"{_COMPARE}mov rsi, [rsi]\nmov rdx, [rsi]\njne first\nmov rax, rdx",
        f"stc\n{_COMPARE}mov rdx, [rsi]\nmov rcx, [rdi]\nadc rdx, rcx",
        "add rdx, rbx\nmov rsi, [rsi]\nmov rsi, [rdi]\nadc rdx, rsi",
        "cmp rbx, rdi\nmov rcx, [rdi]\nxchg rsi, rdi\nmov rdx, [rdi+8]\nseta al",
    ],
)
@pytest.mark.parametrize("rsi", [DATA, DATA + 64, DATA + DATA_SIZE - 8, 8, _BAD, -1])
@pytest.mark.parametrize("flags", [0, 0x8D5])
def test_same(source: str, rsi: int, flags: int) -> None:
    regs = {"rbx": DATA + 32, "rdi": DATA + 128, "rdx": 5}
    # Who leaves early does so where nobody reads the flags of before any more.
    live = 0 if rsi in (_BAD, -1) else None
    both(source, flags, live=live, rsi=rsi & (1 << 64) - 1, **regs)


def test_source_and_copy_are_clamped_at_once() -> None:
    text = "mov rdi, rbx\nmov rax, [rdi]\nmov rdi, rax\nmov rdx, [rbx+8]"
    assert both(text, rbx=DATA + 32).exit.reason == ExitReason.WORK
    assert both(text, live=0, rbx=_BAD).exit.reason == ExitReason.FAULT
    # cmovae with the limit.
    assert _translated(text).count(b"\x0f\x43") == 1


def test_who_leaves_leaves_with_all_as_it_was() -> None:
    source = f"mov r8, 7\n{_COMPARE}mov [rdi], r8\nmov rdx, [rsi]\njne first"
    done = both(source, live=0, rbx=DATA + 32, rsi=_BAD, rdi=DATA, r8=1)
    assert done.exit.reason == ExitReason.FAULT
    assert done.writes == []
    assert (done.regs["r8"], done.regs["rsi"]) == (7, _BAD)
