# SPDX-License-Identifier: GPL-2.0-only
"""The core of a program that dies in a boosted loop is the one that it leaves else."""

from __future__ import annotations

import signal

import pytest

from tests.guest.conftest import Guest, case
from tests.guest.cores import KINDS

_TURNS = 3000

#: What ``programs/core.c`` puts there.
_KNOWN = {
    "r9": 0x9999999999999999,
    "r10": 0xAAAAAAAAAAAAAAAA,
    "r15": 0x1515151515151515,
    "rdi": 0,
    "rsi": 6,
}
_DIED = {
    "fault": (signal.SIGSEGV, {"r14": 0x10000000120, "rax": 0x5A5A5A5A}),
    "abort": (signal.SIGABRT, {"r8": 62, "rax": 0, "orig_rax": 62}),
}


@pytest.mark.guest
@pytest.mark.parametrize("name", [case(f"core-{kind}") for kind in KINDS])
def test_the_core_is_the_same(guest: Guest, name: str) -> None:
    result = guest.result(name)
    native, boosted = result["native"], result["boosted"]
    number, known = _DIED[name.removeprefix("core-")]
    assert native["status"] == -number
    # That it is what it should be, and not only the same.
    assert native["turns"] == _TURNS
    registers = {register: int(v, 16) for register, v in native["registers"].items()}
    assert registers.items() >= {**_KNOWN, **known}.items()
    for part in native:
        assert boosted[part] == native[part], part
    assert result["grown"]
    # Two calls are made before the loop hears that these are its last turns.
    assert result["dispatched_last"] >= 0.9 * _TURNS
