# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import pytest

from tests.translate.states import put
from ubypass.abi import BUDGET_MAX, GROWTH
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.cached_address import address_sum
from ubypass.translate.interval import CLAMPED, serves, within
from ubypass.translate.registers import R11, R12, RAX, RBX, RCX, RDI, RSP
from ubypass.translate.remat import Remat
from ubypass.translate.shown import EQUAL, SYSTEM, Shown
from ubypass.translate.state import Flags, Loc, State

_REMAT = Remat(frozenset({RBX}), compare=b"1")


def test_what_the_budget_paid_for_is_part_of_the_guard() -> None:
    state = put(State(), intervals={3: (0, 8, False, False)})
    state.charge(4)
    paid = (0, 0, True, False)
    assert state.intervals[3] == paid
    assert not within(paid, (0, 0, False, False))
    assert within((0, 0, False, False), paid)
    top = (2 << 30) - GROWTH * BUDGET_MAX
    assert serves(paid, top - 8, 8)
    assert not serves(paid, top - 7, 8)
    state.begin_segment()
    assert state.intervals[3] is None


def test_copies_are_independent() -> None:
    one = State()
    two = one.copy()
    assert one.same(two)
    two.write(3, (0, 0, False, False))
    assert not one.same(two)
    assert one.loc[3] == Loc.M


def test_what_is_cached_is_forgotten_with_its_registers() -> None:
    cached = address_sum(3, 2, 8, -16)
    state = put(State(), cached_address=cached)
    state.invalidate(1)
    assert state.cached_address == cached
    state.invalidate(2)
    assert state.cached_address is None


def test_flags_after_a_part_of_them_was_set() -> None:
    state = State()
    assert not state.exact
    # Those that were given up are not right because others are.
    state.set_flags(None, ARITHMETIC & ~1)
    assert state.flags == Flags.HOST
    assert (state.stale, state.exact) == (ARITHMETIC & 1, False)
    state.set_flags(None, ARITHMETIC)
    assert state.exact
    state.set_flags(None, 2)
    assert state.exact
    put(state, flags=Flags.DEAD)
    assert not state.exact


def test_what_an_exit_shows_depends_on_registers() -> None:
    state = put(State(), shown=Shown(EQUAL.steps, frozenset({RBX})))
    state.write(RAX)
    assert state.shown is not None
    state.write(RBX)
    assert state.shown is None
    put(state, shown=Shown(SYSTEM.steps, frozenset({RBX}), equal=True))
    state.write_partly(RBX)
    assert state.shown == EQUAL


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, ""),
        ({"loc": {RCX: Loc.S, R11: Loc.S}, "cx": 0x1000}, ""),
        ({"loc": {RAX: Loc.S}}, "rax is in state S"),
        ({"loc": {RSP: Loc.H}, "offset": -8}, ""),
        ({"loc": {RSP: Loc.B}, "offset": -8}, "rsp has offset -8"),
        ({"loc": {RBX: Loc.H}, "intervals": {RBX: CLAMPED}}, ""),
        ({"intervals": {RBX: CLAMPED}}, "rbx has interval"),
        (
            {"loc": {RBX: Loc.H}, "intervals": {RBX: (8, 0, False, False)}},
            "rbx has interval",
        ),
        ({"loc": {RBX: Loc.H}, "intervals": {RBX: (8, 0, True, False)}}, ""),
        ({"flags": Flags.REMAT, "remat": _REMAT, "loc": {RBX: Loc.B}}, ""),
        ({"flags": Flags.REMAT}, "cannot be rematerialized"),
        ({"remat": _REMAT}, "a register is lost"),
        ({"flags": Flags.SYS, "shown": SYSTEM}, ""),
        ({"flags": Flags.SYS, "shown": EQUAL}, "flags of the last dispatch"),
        ({"flags": Flags.SYS}, "flags of the last dispatch"),
        ({"stale": 1 << 30}, "other flags are stale"),
        ({"copies": ((RAX, RBX),)}, ""),
        ({"copies": ((RAX, RAX),)}, "a copy of itself"),
        ({"returns": ((-8, 1), (-16, 1))}, ""),
        ({"returns": ((-8, 1), (-8, 2))}, "two return addresses"),
    ],
)
def test_what_must_agree(fields: dict[str, Any], why: str) -> None:
    state = put(State(), **fields)
    if not why:
        state.check()
        return
    with pytest.raises(AssertionError, match=why):
        state.check()


def test_what_a_dispatch_leaves() -> None:
    state = put(
        State(),
        loc={RAX: Loc.B, RBX: Loc.H, RSP: Loc.H, RDI: Loc.B},
        intervals={RBX: CLAMPED, RDI: CLAMPED, R12: None},
        cached_address=(0, 1),
        returns=((-8, 1),),
        remat=_REMAT,
        offset=-8,
    )
    kept = state.copy()
    state.dispatch(0x1234, fred=False)
    state.check()
    assert [state.loc[u] for u in (RAX, RBX, RCX, RDI, R11)] == [
        *(Loc.H, Loc.H, Loc.S, Loc.M, Loc.S)
    ]
    assert (state.intervals[RBX], state.intervals[RDI]) == (CLAMPED, None)
    assert (state.cx, state.offset, state.flags) == (0x1234, -8, Flags.SYS)
    assert (state.cached_address, state.returns, state.remat) == (None, (), None)
    assert state.exact
    kept.dispatch(0x1234, fred=True)
    kept.check()
    assert (kept.loc[RCX], kept.loc[R11], kept.flags) == (Loc.M, Loc.M, Flags.SYS)


def test_the_host_register_of_rsp_moves_and_rsp_stays() -> None:
    state = put(
        State(),
        loc={RSP: Loc.B},
        intervals={RSP: (0, 8, False, False)},
        returns=((-8, 1), (16, 2)),
    )
    state.move_stack(-16)
    state.rebase_stack(-24)
    assert (state.offset, state.loc[RSP]) == (8, Loc.H)
    assert state.intervals[RSP] == (-24, -16, False, False)
    assert state.returns == ((16, 1), (40, 2))
    state.write_stack(CLAMPED)
    assert (state.offset, state.intervals[RSP], state.returns) == (0, CLAMPED, ())
