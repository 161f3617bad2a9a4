# SPDX-License-Identifier: GPL-2.0-only
"""Where two decoders disagree, nothing is believed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.verify.cases import assemble
from ubypass.verify.capstone_decoder import CapstoneDecoder
from ubypass.verify.classify import classify, text
from ubypass.verify.encoding import parse
from ubypass.verify.errors import Refusal
from ubypass.verify.insn import Insn

_CAPSTONE = CapstoneDecoder()


def _bytes(line: str) -> bytes:
    return assemble(f".intel_syntax noprefix\n{line}\n")[0]


def _classify(line: str, **changes: Any) -> tuple[Insn, int]:
    raw = _bytes(line)
    encoding = parse(raw, 0, len(raw))
    form = {key: changes.pop(key) for key in ("names", "ops") if key in changes}
    wrong = dataclasses.replace(encoding, **changes)
    if form:
        wrong = dataclasses.replace(
            wrong, form=dataclasses.replace(encoding.form, **form)
        )
    return classify(_CAPSTONE, raw, wrong)


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("mov rax, [rdi+8]", {"length": 3}),
        ("mov rax, [rdi+8]", {"names": ("add",)}),
        ("mov rax, [rdi+8]", {"ops": "wrr"}),
        ("mov rax, [rdi+8]", {"base": 6}),
        ("mov rax, [rdi+8]", {"disp": 9}),
        ("mov rax, [rdi+8]", {"memory_size": 4}),
        ("mov rax, [rdi+8]", {"fs": True}),
        ("mov rax, [rdi+8]", {"memory": False}),
        ("lea rax, [rdi+rcx*4]", {"index": 2}),
        ("lea rax, [rdi+rcx*4]", {"scale": 8}),
        ("mov rax, rcx", {"memory": True}),
        ("mul rcx", {"ops": ""}),
        ("vpaddd zmm0{k1}, zmm1, zmm2", {"mask": 2}),
        ("vpaddd zmm0{k1}, zmm1, zmm2", {"zeroing": True}),
    ],
)
def test_disagreement_is_refused(line: str, changes: dict[str, Any]) -> None:
    _classify(line)
    with pytest.raises(Refusal, match="disagree"):
        _classify(line, **changes)


def test_registers_that_the_list_forgot_are_noticed() -> None:
    raw = _bytes("mul rcx")
    encoding = parse(raw, 0, len(raw))
    form = dataclasses.replace(encoding.form, implied=())
    with pytest.raises(Refusal, match="also writes"):
        classify(_CAPSTONE, raw, dataclasses.replace(encoding, form=form))


@pytest.mark.parametrize(
    ("line", "decisive"),
    [
        ("mov rax, [rdi+8]", 3),
        ("mov rax, [rdi+0x800]", 3),
        ("mov dword ptr [rdi+8], 5", 2),
        ("mov rax, [rsp+0x30]", 5),
        ("mov rax, fs:[0x28]", 9),
        ("and rax, -16", 4),
        ("shr rax, 32", 4),
        ("add rax, 16", 3),
        ("movabs rax, 0x123456789", 2),
        ("vblendvps xmm0, xmm1, [rdi+8], xmm3", 7),
        ("je .", 1),
    ],
)
def test_bytes_that_decide(line: str, decisive: int) -> None:
    assert _classify(line)[1] == decisive


def test_text_for_people() -> None:
    assert text(_bytes("mov rax, rcx"), 0) == "mov rax, rcx"
    assert text(b"\x06", 0) == "(bad)"
