# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import pytest

from tests.translate.states import put
from ubypass.abi import ExitFlag, ExitReason
from ubypass.translate.exit_keys import ExitKeys
from ubypass.translate.labels import ExitKey
from ubypass.translate.registers import (
    R11,
    RAX,
    RBX,
    RCX,
    RSP,
    SLOT,
    assign_registers,
)
from ubypass.translate.remat import Remat
from ubypass.translate.shown import EQUAL
from ubypass.translate.state import Flags, Loc, State

_ASSIGNMENT = assign_registers([0, 0, 0, 9, *[0] * 12])
_REMAT = Remat(frozenset({RBX}), compare=b"compare")


def _key(**fields: Any) -> ExitKey:
    state = put(State(), **fields)
    return ExitKeys(_ASSIGNMENT).key(state, 0x1000, ExitReason.FAULT)


@pytest.mark.parametrize(
    ("fields", "flags", "cx"),
    [
        ({}, 0, 0),
        ({"flags": Flags.SYS}, ExitFlag.SLOT_SYSFLAGS, 0),
        ({"loc": {RCX: Loc.S}, "cx": 0x2000}, ExitFlag.CX_SYS, 0x2000),
        # What rcx was once does not count.
        ({"loc": {RCX: Loc.H}, "cx": 0x2000}, 0, 0),
        ({"loc": {R11: Loc.S}}, ExitFlag.R11_SYS, 0),
    ],
)
def test_what_an_exit_reports(fields: dict[str, Any], flags: int, cx: int) -> None:
    key = _key(**fields)
    assert (key.flags, key.cx) == (flags, cx)


@pytest.mark.parametrize(
    ("fields", "exact", "code"),
    [
        ({"flags": Flags.HOST, "stale": 0}, True, b""),
        ({"flags": Flags.HOST, "stale": 1}, False, b""),
        ({"flags": Flags.DEAD, "stale": 0}, False, b""),
        ({"flags": Flags.REMAT, "remat": _REMAT, "stale": 0}, True, b"compare"),
    ],
)
def test_flags_at_an_exit(fields: dict[str, Any], exact: bool, code: bytes) -> None:
    key = _key(**fields)
    assert (key.exact, key.before) == (exact, code)


def test_dead_flags_are_shown_if_they_can_be() -> None:
    key = _key(flags=Flags.DEAD, shown=EQUAL)
    assert key.exact
    assert key.before


def test_flags_in_the_slot_keep_rax_aside() -> None:
    inside, outside = (
        _key(flags=Flags.SLOT, loc={RAX: loc}).before for loc in (Loc.H, Loc.M)
    )
    assert len(inside) > len(outside) > 0


def test_stale_slots_are_stored() -> None:
    stores = dict(_key(loc={RBX: Loc.H, RAX: Loc.B}).tail.stores)
    assert stores == {SLOT[RBX]: _ASSIGNMENT.host[RBX]}


def test_a_moved_rsp_is_no_plain_store() -> None:
    key = _key(loc={RSP: Loc.H}, offset=-8)
    assert key.stack == (_ASSIGNMENT.host_rsp, -8)
    assert key.tail.stores == ()


def test_equal_exits_are_one_object() -> None:
    exits, state = ExitKeys(_ASSIGNMENT), put(State(), loc={RBX: Loc.H})
    one = exits.key(state, 0x1000, ExitReason.FAULT)
    assert exits.key(state.copy(), 0x1000, ExitReason.FAULT) is one
    assert exits.key(state, 0x1000, ExitReason.STACK) is not one
    other = exits.key(state, 0x1004, ExitReason.FAULT)
    assert other is not one
    assert other.tail is one.tail


def test_guards_are_noted_by_address() -> None:
    exits = ExitKeys(_ASSIGNMENT)
    exits.note_guard(0x1000, RBX)
    exits.note_guard(0x1000, RAX)
    exits.note_guard(0x1004, RBX)
    assert exits.guarded == {0x1000: 1 << RBX | 1 << RAX, 0x1004: 1 << RBX}
