# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.translate.assemble import assemble
from ubypass.abi import Abi
from ubypass.coverage.functions import functions
from ubypass.translate.probe import refusals

TEXT = 0x40_0000


def _refused(source: str) -> list[tuple[str, str]]:
    code, _ = assemble(source, TEXT)
    (function,) = functions({TEXT: code}, [(TEXT, len(code))], [])
    return [
        (str(refusal.instruction), refusal.reason)
        for refusal in refusals(function.blocks, Abi())
    ]


def test_nothing_refused() -> None:
    assert _refused("push rbx\nmov rax, [rdi]\nadd rax, rbx\npop rbx\nret") == []


def test_what_follows_is_looked_at_on_its_own() -> None:
    found = _refused("cpuid\nmov rax, [rdi]\nhlt\nadd rax, 1\nje next\nnext: ret")
    assert [text for text, _ in found] == ["cpuid", "hlt"]


def test_a_reason_of_lowering_not_only_of_the_list() -> None:
    found = _refused("mov rax, gs:[8]\nmov rbx, fs:[0x7fffffff]\nret")
    assert [text for text, _ in found] == ["mov rax,gs:[8]", "mov rbx,fs:[7FFFFFFFh]"]
    assert len({reason for _, reason in found}) == 2


def test_ends_of_blocks_are_lowered_as_well() -> None:
    assert _refused("jmp [rax]") == []
    assert _refused("call [rax+8]\nret") == []
    found = _refused("jmp fs:[8]")
    assert [text for text, _ in found] == ["jmp qword ptr fs:[8]"]
