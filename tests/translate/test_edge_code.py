# SPDX-License-Identifier: GPL-2.0-only
"""Every state can become every other that joins ask for."""

from __future__ import annotations

import pytest
from iced_x86 import Decoder, Formatter, FormatterSyntax

from tests.translate.states import put
from ubypass.abi import Abi
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.cached_address import CONSTANT
from ubypass.translate.context import Context
from ubypass.translate.edge_code import emit_edge_code
from ubypass.translate.emit import Buffer
from ubypass.translate.exit_keys import ExitKeys
from ubypass.translate.interval import CLAMPED
from ubypass.translate.registers import R11, RAX, RBX, RCX, RSP, assign_registers
from ubypass.translate.state import Flags, Loc, State

_ASSIGNMENT = assign_registers([0, 0, 0, 9, *[0] * 12])


def _edge_code(have: State, wanted: State, live: int = 0) -> list[str]:
    buffer = Buffer()
    exits = ExitKeys(_ASSIGNMENT)
    emit_edge_code(Context(exits, Abi(), have, buffer, 0x1000, live), wanted)
    formatter = Formatter(FormatterSyntax.INTEL)
    return [formatter.format(i) for i in Decoder(64, bytes(buffer.code), ip=0)]


def _one(user: int, loc: int) -> State:
    return put(State(), loc={user: loc})


@pytest.mark.parametrize(
    ("have", "wanted", "expected"),
    [
        (Loc.H, Loc.H, []),
        (Loc.B, Loc.H, []),
        (Loc.B, Loc.M, []),
        (Loc.M, Loc.H, ["mov rbx,[rsp+8E8h]"]),
        (Loc.M, Loc.B, ["mov rbx,[rsp+8E8h]"]),
        (Loc.H, Loc.M, ["mov [rsp+8E8h],rbx"]),
        (Loc.H, Loc.B, ["mov [rsp+8E8h],rbx"]),
    ],
)
def test_registers(have: int, wanted: int, expected: list[str]) -> None:
    assert _edge_code(_one(RBX, have), _one(RBX, wanted)) == expected


def test_rcx_after_a_system_call() -> None:
    for wanted, expected in (
        (Loc.H, ["mov ecx,1000h"]),
        (Loc.M, ["mov r11d,1000h", "mov [rsp+918h],r11"]),
        (Loc.B, ["mov ecx,1000h", "mov [rsp+918h],rcx"]),
        (Loc.S, []),
    ):
        have, want = _one(RCX, Loc.S), _one(RCX, wanted)
        put(have, cx=0x1000)
        put(want, cx=0x1000)
        assert _edge_code(have, want) == expected


def test_r11_after_a_system_call() -> None:
    text = _edge_code(_one(R11, Loc.S), _one(R11, Loc.M))
    assert text == [
        "mov r11,[rsp+18h]",
        "and r11d,8D5h",
        "or r11d,202h",
        "mov [rsp+8F0h],r11",
    ]


def test_clamping_spares_live_flags() -> None:
    have, want = _one(RBX, Loc.B), _one(RBX, Loc.B)
    put(have, flags=Flags.HOST)
    put(want, flags=Flags.HOST, intervals={RBX: CLAMPED})
    text = _edge_code(have, want, ARITHMETIC)
    # The kernel's rax is not stored with them.
    saved = ["mov eax,0", "lahf", "seto al", "mov [rsp+30h],rax"]
    assert text[:5] == [*saved, "cmp rbx,[rsp+8]"]
    assert text[-3:] == ["mov rax,[rsp+30h]", "add al,7Fh", "sahf"]
    for one in (have, want):
        put(one, loc={RAX: Loc.H})
    put(have, intervals={RBX: None}, flags=Flags.HOST)
    text = _edge_code(have, want, ARITHMETIC)
    assert text[0] == "mov r10,rax"
    assert text[4] == "mov rax,r10"
    assert text[-1] == "mov rax,r10"
    have, want = _one(RBX, Loc.B), _one(RBX, Loc.B)
    put(have, flags=Flags.HOST)
    put(want, flags=Flags.DEAD, intervals={RBX: CLAMPED})
    assert len(_edge_code(have, want)) == 3


def test_the_stack_moves_to_where_it_is_expected() -> None:
    have, want = _one(RSP, Loc.H), _one(RSP, Loc.H)
    put(have, offset=-24)
    put(want, offset=-8)
    assert _edge_code(have, want) == ["lea r15,[r15-10h]"]
    assert have.offset == -8


def test_what_the_scratch_register_caches_is_there_on_every_path() -> None:
    have, want = _one(RCX, Loc.S), _one(RCX, Loc.M)
    put(have, cx=0x1000)
    put(want, cx=0x1000)
    put(have, cached_address=(CONSTANT, 0x2000))
    put(want, cached_address=(CONSTANT, 0x2000))
    # The way through memory takes the scratch register.
    assert _edge_code(have, want) == [
        *("mov r11d,1000h", "mov [rsp+918h],r11"),
        "mov r11d,2000h",
    ]
    have, want = State(), State()
    put(want, cached_address=(CONSTANT, 0x2000))
    assert not have.fits(want)
    assert _edge_code(have, want) == ["mov r11d,2000h"]
    assert have.fits(want)
    assert _edge_code(have, want) == []
