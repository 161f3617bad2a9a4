# SPDX-License-Identifier: GPL-2.0-only
"""Which part of the frame may be read and written."""

from __future__ import annotations

import pytest

from ubypass import abi
from ubypass.verify import slots
from ubypass.verify.errors import Refusal

_SLOTS = {abi.FRAME_REGS + offset for offset in abi.REGS_OFFSET.values()}
_OWN = {abi.FRAME_TARGET, *range(abi.FRAME_TMP0, abi.FRAME_FIP, 8)}
_READ_ONLY = {abi.FRAME_LIMIT, abi.FRAME_FSBASE, abi.FRAME_FLAGS, abi.FRAME_SYSFLAGS}


def _may(disp: int, size: int, read: bool, write: bool) -> bool:
    try:
        return slots.slot(disp, size, read, write) == disp & -8
    except Refusal:
        return False


def test_every_offset_around_the_frame() -> None:
    for disp in range(-64, abi.FRAME_REGS + 256):
        for size in (1, 2, 4, 8, 16):
            inside = disp % 8 + size <= 8
            start = disp & -8
            may_write = inside and start in _SLOTS | _OWN
            assert _may(disp, size, False, True) == may_write
            assert _may(disp, size, True, True) == may_write
            may_read = inside and start in _SLOTS | _OWN | _READ_ONLY
            assert _may(disp, size, True, False) == may_read


def test_an_address_alone_is_no_access() -> None:
    with pytest.raises(Refusal):
        slots.slot(abi.FRAME_TMP0, 8, False, False)


def test_kinds_of_slots() -> None:
    assert set(slots.UNDEFINED) == _OWN
    assert slots.is_user_register(slots.RSP_SLOT)
    assert not slots.is_user_register(abi.FRAME_TMP0)
