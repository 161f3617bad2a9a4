# SPDX-License-Identifier: GPL-2.0-only
"""The list can be read, is sound, and agrees with capstone line by line."""

from __future__ import annotations

import re

import pytest

from tests.places import ROOT
from tests.verify.encoder import encodings
from ubypass.verify import allowlist
from ubypass.verify.allowlist import Form, Key, allowed
from ubypass.verify.capstone_decoder import CapstoneDecoder
from ubypass.verify.classify import classify
from ubypass.verify.decode import Decoder
from ubypass.verify.encoding import parse
from ubypass.verify.errors import Refusal

_CAPSTONE = CapstoneDecoder()
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
            insn, decisive = classify(_CAPSTONE, one, parse(one, 0, len(one)))
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


_FIELDS = (
    *("length", "kind", "op", "a", "b", "reads", "keeps", "sets", "writes", "access"),
    *("base", "index", "scale", "size", "must_fault", "may_fault", "target_store"),
    *("tail", "on_sign", "prelude", "features", "vector", "x87", "value", "field_at"),
    *("field_size", "factor", "noted", "equal", "slot", "stores", "source"),
)
# Numbers at the edges, and some in between.
_TAILS = (b"\x00", b"\x7f", b"\x80", b"\xff", b"\x01\x80\x00\xff\x7f\x10\x00\x01")


def test_all_fields_of_a_record_are_compared() -> None:
    text = (ROOT / "src/ubypass/verify/insn.py").read_text("utf-8")
    assert sorted(re.findall(r"^        self\.(\w+)", text, re.MULTILINE)) == sorted(
        _FIELDS
    )


def _classified(raw: bytes) -> object:
    """All that classification tells of an instruction, or why it is refused."""
    try:
        encoding = parse(raw, 0, len(raw))
        if encoding.length != len(raw):
            return "another length"
        insn, decisive = classify(_CAPSTONE, raw, encoding)
    except Refusal as refusal:
        return refusal.reason
    return *(getattr(insn, field) for field in _FIELDS), decisive


@pytest.mark.parametrize("family", sorted({key[0] for key, _ in _LINES}))
def test_a_remembered_form_is_what_a_new_classification_gives(family: int) -> None:
    """Bytes behind those that decide may be any: records are looked up without them."""
    wrong, tried = set(), 0
    for key, form in _LINES:
        if key[0] != family:
            continue
        for what, raw in encodings(key, form):
            once = _classified(raw)
            if isinstance(once, str):
                continue
            assert isinstance(once, tuple)
            decisive = once[-1]
            rest = len(raw) - decisive
            for tail in _TAILS if rest else ():
                tried += 1
                other = raw[:decisive] + (tail * rest)[:rest]
                if _classified(other) != once:
                    wrong.add((form.names[0], what, raw.hex(), other.hex()))
    assert wrong == set()
    assert tried > 1000
