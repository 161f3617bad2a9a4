# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import Register

from ubypass.translate.registers import (
    R10,
    R11,
    R15,
    RBX,
    RSP,
    SLOT,
    choose_homes,
    number,
    resized,
)


def test_the_least_used_gives_up_its_register() -> None:
    homes = choose_homes([12, 13, 14, 15, 5, 5])
    assert homes.usp == RBX
    assert homes.spilled(RBX)
    assert homes.spilled(R10)
    assert homes.spilled(R11)
    assert sorted(h for h in homes.host if h >= 0) == sorted(
        {0, 1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 14, 15}
    )
    assert choose_homes([]).usp == R15


def test_numbers() -> None:
    assert number(Register.AH) == 0
    assert number(Register.R9D) == 9
    assert number(Register.XMM1) is None


def test_resized() -> None:
    assert resized(Register.RAX, 11) == Register.R11
    assert resized(Register.EAX, 11) == Register.R11D
    assert resized(Register.BX, 5) == Register.BP
    assert resized(Register.R10L, 3) == Register.BL
    assert resized(Register.R10L, 5) == Register.BPL
    assert resized(Register.BL, 12) == Register.R12L
    assert resized(Register.AH, 0) == Register.AH
    with pytest.raises(ValueError, match="high byte"):
        resized(Register.BH, 11)


def test_slots() -> None:
    assert SLOT[RSP] == 0x800 + 152
    assert len(set(SLOT)) == 16
