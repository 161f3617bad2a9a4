# SPDX-License-Identifier: GPL-2.0-only
"""Every kind of lea, from and to registers in their own host registers, moved and
spilled.
"""

from __future__ import annotations

import itertools

import pytest

from tests.translate.pair import STACK, both
from ubypass.abi import ExitReason

# Used most, so that r10, r11 and r15 have no host register of their own.
_USED = 60 * "inc rbx\ninc rbp\ninc r8\ninc r9\ninc r12\ninc r13\ninc r14\n"
_VALUES = {
    "rax": 0x1111_2222_3333_4444,
    "rbx": 0xFFFF_FFFF_FFFF_FFF0,
    "r10": 0x8000_0000_7FFF_FFFF,
    "r11": 0x0123_4567_89AB_CDEF,
    "r15": 0xFEDC_BA98_7654_3210,
}
_ADDRESSES = (
    *("[rbx+5]", "[rbx+rax*4-9]", "[r10+7]", "[r10+r11*2]", "[r15+r10*8+0x1234]"),
    *("[rax*8+3]", "[rip+8]", "[0x7fffffff]", "[rsp+8]", "[rsp+r10]", "[r11+rbx]"),
    *("[ebx+5]", "[r10d+r11d*2-1]", "[esp+4]", "[eip+8]", "fs:[rbx]"),
)
_TO = ("rcx", "rbx", "r10", "r11", "r15", "ecx", "ebx", "r10d", "r15d", "cx", "r11w")


@pytest.mark.parametrize("address", _ADDRESSES)
def test_same_value(address: str) -> None:
    # r11 as the program has it, not what the system call left there.
    source = f"mov r11, {_VALUES['r11']:#x}\n{_USED}"
    for to in _TO:
        source += f"lea {to}, {address}\npush rbx\npush {_wide(to)}\n"
    done = both(source, **_VALUES)
    assert done.exit.reason == ExitReason.WORK


def _wide(register: str) -> str:
    if register.startswith("r"):
        return register.rstrip("dw")
    return "r" + register[-2:]


def test_the_stack_pointer_from_somewhere_else() -> None:
    done = both("lea rsp, [rbx-64]\npush rbx", rbx=STACK)
    assert done.regs["rsp"] == STACK - 72


@pytest.mark.parametrize("address", ["[ebx-8]", "[ebx+ecx*2]", "[r10d+8]", "[esp]"])
def test_access_with_an_address_of_32_bits(address: str) -> None:
    # Nothing is mapped there: both fault, at the same instruction.
    done = both(f"add rax, 5\nmov rax, {address}", rbx=STACK, r10=STACK)
    assert done.exit.reason == ExitReason.FAULT


def test_combinations_of_spilled_registers() -> None:
    registers = ("rbx", "r10", "r11")
    source = _USED
    for to, base, index in itertools.product(registers, repeat=3):
        source += f"lea {to}, [{base}+{index}*4+3]\nadd r11, r10\npush {to}\n"
    both(source, **_VALUES)
