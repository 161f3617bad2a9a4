# SPDX-License-Identifier: GPL-2.0-only
"""Return addresses that nothing can have changed are not compared; all others are."""

from __future__ import annotations

import pytest
from iced_x86 import Decoder

from tests.translate.assemble import assemble
from tests.translate.pair import DATA, STACK, both
from tests.translate.states import put
from ubypass.abi import Abi, ExitReason, Translation
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.insn_info import Stores, insn_info
from ubypass.translate.returns import common, stored, top
from ubypass.translate.state import State
from ubypass.translate.translate import translate

#: Where the return address is in the function called by :func:`_called`.
_SLOT = STACK - 8
_TEXT = 0x7F00_0000_1000


def _called(body: str) -> str:
    return f"""
        call callee
        there: add rax, 1
        jmp first
        other: add rax, 2
        jmp first
        callee: {body}
        ret
    """


def _translated(source: str) -> Translation:
    text = f"first: mov eax, 39\nsyscall\nstart:\n{source}"
    code, labels = assemble(text, _TEXT)
    spec = RegionSpec((HotEntry(labels["start"], 39),))
    return translate(discover(spec, BytesReader({_TEXT: code})), Abi())


def _compares(body: str) -> bool:
    exits = _translated(_called(body)).exits
    return any(e.reason is ExitReason.RET_MISS for e in exits)


@pytest.mark.parametrize(
    "body",
    [
        "mov eax, 5",
        "mov rax, [rdi]\ncmp rax, [rdi+8]",
        "push rbx\nmov ebx, 7\npop rbx",
        "sub rsp, 64\nmov [rsp+8], rdi\nmovups [rsp+16], xmm1\nadd rsp, 64",
        "push rdi\npush [rdi]\ncall inner\nadd rsp, 16\nret\ninner: mov eax, [rdi]",
        "test rdi, rdi\nje callee_end\nmov eax, 3\ncallee_end:",
        "push rbx\nmov rbx, [rsp+8]\npop rbx",
    ],
)
def test_not_compared(body: str) -> None:
    assert not _compares(body)
    done = both(_called(body), rdi=DATA + 64)
    assert done.exit.reason == ExitReason.WORK


@pytest.mark.parametrize(
    "body",
    [
        "mov [rdi], rax",
        "lock inc qword ptr [rdi]",
        "lock inc qword ptr [rsp-64]",
        "xchg [rsp-64], rax",
        "mfence",
        "add qword ptr [rsp+rbx], 0",
        "mov [rsp+4096], rax",
        "mov [rsp-4096], rax",
        "mov rax, rsp\nmov [rax-64], rbx",
        "stosb",
        "mov [rip+here], eax\nhere:",
        "push rax\npop [rdi]",
        "push rbp\nmov rbp, rsp\nleave",
        "and rsp, -16\nadd rsp, 8",
        "test rdi, rdi\njne callee_end\nmov [rsi], rax\ncallee_end:",
    ],
)
def test_compared(body: str) -> None:
    assert _compares(body)


@pytest.mark.parametrize(
    "body",
    [
        "mov [rdi], rdx",
        "mov [rdi+rbx], rdx",
        "mov [rsp], rdx",
        "mov [rsp+rbx], rdx",
        "mov byte ptr [rsp+7], 1",
        "movups [rsp-8], xmm1",
        "mov [rdi+1], dl",
        "lea rsi, [rsp-8]\nmov [rsi+8], rdx",
        "push rdx\npop [rsp]",
        "add rsp, 8\npush rdx",
        "mov rax, rdx\nstosq",
        "sub rsp, 16\nmov [rsp+16], rdx\nadd rsp, 16",
        "push rbx\ncall inner\npop rbx\nret\ninner: mov [rsp+16], rdx",
    ],
)
@pytest.mark.parametrize("to", ["other", "nowhere"])
def test_what_was_changed_counts(body: str, to: str) -> None:
    source = "lea rdx, [rip+other]\n" if to == "other" else "mov edx, 5\n"
    done = both(source + _called(body), rdi=_SLOT)
    assert done.exit.reason == ExitReason.RET_MISS


def test_a_system_call_ends_it() -> None:
    # It may store to the stack.
    assert _compares("mov eax, 39\nsyscall")


def _state(offset: int, *returns: tuple[int, int]) -> State:
    return put(State(), offset=offset, returns=returns)


def test_the_stack_of_returns() -> None:
    state = _state(-8)
    state.push_return(111)
    put(state, offset=-32)
    state.push_return(222)
    assert state.returns == ((-8, 111), (-32, 222))
    assert top(state.returns, state.offset) == 222
    put(state, offset=-24)
    assert top(state.returns, state.offset) is None
    state.forget_returns_below()
    assert state.returns == ((-8, 111),)
    put(state, offset=-8)
    state.push_return(333)
    assert state.returns == ((-8, 333),)


@pytest.mark.parametrize(
    ("at", "size", "kept"),
    [
        *((0, 8, True), (-16, 8, True), (-8, 1, False), (-1, 1, False)),
        *((-9, 1, True), (-9, 2, False), (-40, 32, True), (-39, 32, False)),
        # The same page could be there once more.
        *((-8 - 4096, 8, False), (-4096, 8, True), (-8 + 4096, 8, False)),
        *((-16 + 4096, 8, True), (-15 + 4096, 8, False), (1 << 20, 8, False)),
    ],
)
def test_stores_beside_it(at: int, size: int, kept: bool) -> None:
    assert bool(stored(((-8, 111),), at, size)) == kept


def test_what_all_paths_have_in_common() -> None:
    # Relative to rsp: 24 and 0; 24 and 8; 24 and 0.
    one = ((16, 111), (-8, 222)), -8
    two = ((24, 111), (8, 222)), 0
    assert common([one], 0) == ((0, 222), (24, 111))
    assert common([one, two], -16) == ((8, 111),)
    assert common([one, (((-8, 222),), -8)], -8) == ((-8, 222),)
    assert common([one, (((16, 112),), -8)], -8) == ()


@pytest.mark.parametrize(
    ("text", "stores"),
    [
        *(("mov rax, [rdi]", Stores.NOTHING), ("lea rax, [rdi]", Stores.NOTHING)),
        *(("cmp [rdi], al", Stores.NOTHING), ("push [rdi]", Stores.PUSHED)),
        *(("pop rax", Stores.NOTHING), ("pop [rdi]", Stores.ANYTHING)),
        *(("add [rdi], al", Stores.OPERAND), ("setc [rdi]", Stores.OPERAND)),
        *(("bts qword ptr [rdi], 3", Stores.OPERAND), ("stosd", Stores.ANYTHING)),
        *(("xchg [rdi], rax", Stores.ANYTHING), ("xchg rbx, rax", Stores.NOTHING)),
        *(("lock bts qword ptr [rdi], 3", Stores.ANYTHING), ("movsq", Stores.ANYTHING)),
        *(("cmpxchg [rdi], rbx", Stores.OPERAND), ("scasb", Stores.NOTHING)),
        *(("vmaskmovps [rdi], ymm1, ymm2", Stores.OPERAND), ("fstp st(0)", 0)),
        *(("fstp qword ptr [rdi]", Stores.OPERAND), ("sfence", Stores.ANYTHING)),
        *(("vmovdqu32 [rdi]{k1}, zmm2", Stores.OPERAND), ("fnstcw [rdi]", 2)),
        *(("movntdq [rdi], xmm1", Stores.OPERAND), ("pushfq", Stores.PUSHED)),
        ("leave", Stores.NOTHING),
    ],
)
def test_what_stores(text: str, stores: int) -> None:
    code, _ = assemble(text, _TEXT)
    assert insn_info(Decoder(64, code).decode()).stores == stores
