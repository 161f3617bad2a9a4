# SPDX-License-Identifier: GPL-2.0-only
"""What an exit shows must be the flags that the user's program had."""

from __future__ import annotations

import random
from typing import Any

import pytest
import unicorn
from iced_x86 import Code, Instruction, Register
from unicorn import x86_const as ux

from tests.region.asm import TEXT, decoded
from tests.translate.pair import DATA, both
from ubypass.abi import ExitReason
from ubypass.translate.insn_info import insn_info
from ubypass.translate.registers import RAX, RBX, RCX, RSP, SLOT, assign_registers
from ubypass.translate.shown import (
    EQUAL,
    SYSTEM,
    Places,
    Shown,
    Step,
    code_for,
    shown_after,
)
from ubypass.translate.state import Loc

_FLAGS = 0x8D5
_STACK = 0x3000
_ASSIGNMENT = assign_registers([0] * 16)
_BAD = 1 << 62


def _after(text: str, before: Shown | None = None, stack: int = 0) -> Shown | None:
    code, _ = decoded(text)
    instruction = code.at(TEXT)
    assert instruction is not None
    return shown_after(insn_info(instruction), before, stack)


def _bytes(text: str) -> bytes:
    code, _ = decoded(text)
    instruction = code.at(TEXT)
    assert instruction is not None
    return code.bytes_at(TEXT, instruction.len)


def _places(loc: int, cx: int = 0, rcx: int | None = None) -> Places:
    places = [loc] * 16
    places[RCX] = loc if rcx is None else rcx
    return Places(_ASSIGNMENT.host, places, cx, (_ASSIGNMENT.s0, _ASSIGNMENT.s1))


def _check(made: bytes, remat: bytes, seed: str) -> None:
    """``remat`` sets the flags that ``made`` has set, and changes no register."""
    rng = random.Random(seed)
    names = [f"UC_X86_REG_{n}" for n in ("RAX", "RBX", "RCX", "RDX", "RSI", "RDI")]
    registers = [getattr(ux, name) for name in names]
    special = (0, 1, 1 << 31, (1 << 64) - 1, 1 << 63, 0x80, 0x7F, 0x8000)
    for _ in range(10):
        engine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        engine.mem_map(0x1000, 0x4000)
        engine.mem_write(0x1000, made + remat)
        engine.reg_write(ux.UC_X86_REG_RSP, _STACK)
        engine.reg_write(ux.UC_X86_REG_EFLAGS, 2 | rng.getrandbits(12) & _FLAGS)
        for register in registers:
            value = rng.choice((rng.getrandbits(64), rng.choice(special)))
            engine.reg_write(register, value)
        engine.emu_start(0x1000, 0x1000 + len(made))
        first = engine.reg_read(ux.UC_X86_REG_EFLAGS) & _FLAGS
        after = [engine.reg_read(register) for register in registers]
        # The slots have what the registers have.
        for register, user in zip(registers, (0, 3, 1, 2, 6, 7), strict=True):
            value = engine.reg_read(register)
            engine.mem_write(_STACK + SLOT[user], value.to_bytes(8, "little"))
        engine.reg_write(ux.UC_X86_REG_EFLAGS, 2 | rng.getrandbits(12) & _FLAGS)
        engine.emu_start(0x1000 + len(made), 0x1000 + len(made + remat))
        assert engine.reg_read(ux.UC_X86_REG_EFLAGS) & _FLAGS == first
        assert [engine.reg_read(register) for register in registers] == after


_ALONE = (
    *("cmp rax, rbx", "cmp al, 5", "cmp eax, 0x12345678", "cmp bx, cx", "test ebx, 8"),
    *("test rax, rax", "test bl, cl", "sub rbx, 1", "sub ebx, -128", "sub bl, cl"),
    *("add ax, 0x1234", "add rbx, rcx", "add bx, 5", "sub al, 1", "neg bl", "neg rbx"),
    *("and ebx, 0xff", "or bl, al", "xor rbx, rax", "xor ebx, ebx", "sub edx, edx"),
    *("and ebx, [rip]", "sbb eax, eax", "sbb bl, bl", "sbb rcx, rcx", "cmp bl, bl"),
    *("popcnt rax, rbx", "add eax, ecx", ".byte 0x01, 0xc3", "sub rax, 0x7fffffff"),
)


@pytest.mark.parametrize("loc", [Loc.H, Loc.M])
@pytest.mark.parametrize("text", _ALONE)
def test_all_flags_at_once(text: str, loc: int) -> None:
    shown = _after(text)
    assert shown is not None
    remat = code_for(shown, _places(loc))
    assert remat
    _check(_bytes(text), remat, text)


_CHAINS = (
    *("inc ebx", "dec rbx", "inc bl", "bt eax, 5", "bt rax, rbx", "stc", "clc", "cmc"),
    *("tzcnt rax, rbx", "imul eax, ebx, 12345"),
)


@pytest.mark.parametrize("loc", [Loc.H, Loc.M])
@pytest.mark.parametrize("text", _CHAINS)
def test_some_flags_need_what_was_before(text: str, loc: int) -> None:
    assert _after(text) is None
    before = _after("cmp rsi, rdi")
    shown = _after(text, before)
    assert shown is not None
    assert shown.registers >= {6, 7}
    remat = code_for(shown, _places(loc))
    _check(_bytes("cmp rsi, rdi") + _bytes(text), remat, text)


@pytest.mark.parametrize(
    "text",
    [
        *("add rbx, rbx", "adc ebx, 1", "shl eax, 1", "shr rax, 3", "cmp rax, [rbx]"),
        *("add [rbx], eax", "sub rax, [rbx]", "xadd rax, rbx", "mul rcx", "cmp ah, 1"),
        *("imul eax, ebx", "imul eax, eax, 3", "bsf eax, ebx", "shl eax, cl"),
        *("popcnt ax, bx", "popcnt rax, rax", "sahf", "or [rbx], rax"),
    ],
)
def test_what_is_gone(text: str) -> None:
    assert _after(text, EQUAL) is None


def test_a_chain_comes_to_an_end() -> None:
    shown = _after("cmp rsi, rdi")
    for _ in range(3):
        shown = _after("inc ebx", shown)
        assert shown is not None
    assert _after("inc ebx", shown) is None


def test_where_rcx_is_what_the_call_left() -> None:
    shown = _after("cmp rcx, rbx")
    assert shown is not None
    places = _places(Loc.H, cx=0x401002, rcx=Loc.S)
    remat = code_for(shown, places)
    made = b"\xb9\x02\x10\x40\x00" + _bytes("cmp rcx, rbx")
    _check(made, remat, "rcx")


def test_nothing_is_known_of_r11_after_a_call() -> None:
    shown = _after("cmp rax, r11")
    assert shown is not None
    assert code_for(shown, _places(Loc.S)) == b""


def test_the_stack_moves_with_its_host_register() -> None:
    shown = _after("sub rsp, 24", stack=-24)
    assert shown is not None
    assert shown.registers == {RSP}
    assert shown.moved(-24).steps[0].stack == 0
    other = _after("cmp rax, rbx")
    assert other is not None
    assert other.moved(8) is other
    assert other.registers == {RAX, RBX}


_NOWHERE = "mov r11, [rdi]; mov rdx, [r11]"


def _at_a_fault(code: str, flags: int = 0, **regs: int) -> int:
    """The flags that the exit before the faulting access shows; compared with those
    of a native run.
    """
    given = {"rdi": DATA, **regs}
    # What is there is no address.
    outcome = both(f"{code}; {_NOWHERE}; popcnt rax, rbx", flags, **given)
    assert outcome.exit.reason is ExitReason.FAULT
    return outcome.flags & _FLAGS


def test_an_access_that_faults_behind_flags_that_nobody_reads() -> None:
    shown = _at_a_fault("sub edx, edx; dec r9d", flags=0x81, r9=5)
    # PF ZF and the like follow from 4; CF is that of the subtraction.
    assert shown == 0


@pytest.mark.parametrize("flags", [0, _FLAGS])
@pytest.mark.parametrize(
    "code",
    [
        *("cmp rax, rbx", "sub rax, rbx", "inc rax", "add al, bl", "neg rbx; stc"),
        *("xor eax, eax; mov eax, 7", "cmp rax, r10", "cmp r10, r13", "test r14, r15"),
        *("sub rsp, 40", "add rsp, -8; push rax", "cmp rsp, rax; push rbx"),
        *("sub rsp, 8; and rsp, -16", "cmp rax, rbx; jne 1f; nop; 1: nop"),
        *("cmp rax, rbx; call 1f; 1: pop rcx", "add r12, 5; mov [rsp-8], r12"),
        *("cmp rax, rax; mov rax, rbx; je 1f; hlt; 1: nop", "imul eax, ebx, 9"),
    ],
)
def test_gaps_that_fault(code: str, flags: int) -> None:
    values = {"rax": 5, "rbx": _BAD + 3, "r10": 1 << 31, "r12": (1 << 64) - 2}
    for rax in (0, 5, _BAD + 3, (1 << 63) - 1):
        _at_a_fault(code, flags, **{**values, "rax": rax, "r13": 7, "r15": 1})


@pytest.mark.parametrize(
    "change",
    [
        *({"how": 5}, {"instruction": None}, {"undo": Code.ADD_RM64_R64}),
        *({"users": (RBX,)}, {"stack": 8}),
    ],
)
def test_steps_that_differ_are_not_equal(change: dict[str, Any]) -> None:
    compare = Instruction.create_reg_reg(Code.CMP_R64_RM64, Register.RAX, Register.RBX)
    given = {
        **{"how": 1, "instruction": compare, "undo": Code.SUB_RM64_R64},
        **{"users": (RAX, RBX), "stack": 16},
    }
    same = Step(**{**given, "instruction": compare.copy()})
    assert Step(**given) == same
    assert hash(Step(**given)) == hash(same)
    assert Step(**given) != Step(**{**given, **change})


def test_ways_to_show_flags_that_differ_are_not_equal() -> None:
    one = Shown(EQUAL.steps, frozenset({RBX}))
    same = Shown(EQUAL.steps, frozenset({RBX}))
    assert (one, hash(one)) == (same, hash(same))
    assert one != Shown(SYSTEM.steps, frozenset({RBX}))
    assert one != Shown(EQUAL.steps, frozenset({RAX}))
    assert one != Shown(EQUAL.steps, frozenset({RBX}), equal=True)
    assert one != EQUAL.steps
