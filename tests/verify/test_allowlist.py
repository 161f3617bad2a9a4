# SPDX-License-Identifier: GPL-2.0-only
"""The list can be read, is sound, and agrees with capstone line by line."""

from __future__ import annotations

import pytest

from tests.verify.encoder import encodings
from ubypass.verify import allowlist
from ubypass.verify.allowlist import Form, Key, allowed
from ubypass.verify.capstone_decoder import CapstoneDecoder
from ubypass.verify.classify import classify
from ubypass.verify.decode import Decoder
from ubypass.verify.encoding import parse
from ubypass.verify.errors import Refusal

_ENGINE = CapstoneDecoder()
_LINES = [(key, form) for key, forms in allowed().items() for form in forms]
# What push and pop name is judged with their operand.
_SPECIAL = {"push", "pop"}
_FINE = {"no memory form on the allow-list", "rsp as an operand"}
_NEVER = (
    *("std", "cli", "popf", "wrmsr", "hlt", "call", "ret", "syscall", "int", "insb"),
    *("wrpkru", "wrgsbase", "xbegin", "endbr64", "cpuid", "maskmovdqu", "xlatb"),
)


def _label(line: tuple[Key, Form]) -> str:
    (family, prefix, opmap, opcode), form = line
    return f"{form.names[0]}-{'_ve'[family]}{prefix:x}.{opmap}.{opcode:02x}"


@pytest.mark.parametrize("line", _LINES, ids=_label)
def test_capstone_agrees(line: tuple[Key, Form]) -> None:
    key, form = line
    decoder = Decoder()
    tried = 0
    for what, raw in encodings(key, form):
        try:
            insn, _ = decoder.decode(raw, 0, len(raw))
        except Refusal as refusal:
            if form.names[0] in _SPECIAL or refusal.reason in _FINE:
                continue
            pytest.fail(f"{what} {raw.hex()}: {refusal.reason}")
        assert insn.length == len(raw), f"{what} {raw.hex()}"
        tried += 1
    assert tried or form.names[0] in _SPECIAL or key[3] & 7 == 4


_PREDICATES = [line for line in _LINES if "cc" in line[1].attributes]


@pytest.mark.parametrize("line", _PREDICATES, ids=_label)
def test_capstone_agrees_on_predicates(line: tuple[Key, Form]) -> None:
    for what, raw in list(encodings(*line))[:2]:
        for predicate in range(256):
            one = raw[:-1] + bytes([predicate])
            insn, decisive = classify(_ENGINE, one, parse(one, 0, len(one)))
            assert insn.vector, what
            assert decisive < len(one)


@pytest.mark.parametrize("name", _NEVER)
def test_never_allowed(name: str) -> None:
    assert not any(name in form.names for _, form in _LINES)


@pytest.mark.parametrize(
    "line",
    [
        "mov wr z k - 88:r",
        "mov wq v k - 88:r",
        "mov wr v x - 88:r",
        "mov wr v k =rfoo 88:r",
        "mov wr v k - 88:r:what",
        "mov wr v k - 8:r",
        "mov wr v k - @avx",
        "mov wr v k - 88:r @avx @avx2",
    ],
)
def test_bad_lines_are_refused(line: str) -> None:
    with pytest.raises((ValueError, KeyError, IndexError)):
        allowlist._line(line.split())
