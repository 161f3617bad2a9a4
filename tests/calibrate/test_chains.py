# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import ctypes
import os

import pytest

from tests.calibrate.running import executed, run
from ubypass.calibrate.calls import Call, calls
from ubypass.calibrate.chains import chain
from ubypass.calibrate.figures import DEPTHS, Kind


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_call_is_all_that_differs(depth: int) -> None:
    call = Call(17, (3, 0x7F00_0000_1234, 1, 0))
    without = executed(chain("x", call, depth, made=False))
    made = executed(chain("x", call, depth, made=True))
    assert (made - without)["syscall"] == 1
    assert made["ret"] == without["ret"] == depth
    # Targets of calls behind the system call have moved.
    kinds = [
        sorted(text.split()[0] for text in found.elements())
        for found in (made, without)
    ]
    assert kinds[0] == sorted([*kinds[1], "syscall"])


def test_arguments() -> None:
    call = Call(44, (5, 0x1234_5678_9ABC, 1, 0x40, 6, 7))
    found = executed(chain("x", call, 1, made=True))
    words = ["rdi,5", "rsi,123456789ABCh", "rdx,1", "r10,40h", "r8,6", "r9,7"]
    for word in (*words, "rax,2Ch"):
        assert found[f"mov {word}"] == 1


@pytest.mark.parametrize("depth", DEPTHS)
def test_one_call_in_each_turn(depth: int) -> None:
    reader, writer = os.pipe()
    byte = ctypes.create_string_buffer(b"x")
    call = Call(1, (writer, ctypes.addressof(byte), 1))
    run(chain("x", call, depth, made=False), 5)
    run(chain("x", call, depth, made=True), 10)
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == b"x" * 11  # one before those that are timed


@pytest.mark.parametrize("kind", Kind)
def test_calls_are_made(kind: Kind) -> None:
    with calls() as known:
        if kind not in known:
            pytest.skip("there is no loopback here")
        for depth in DEPTHS:
            for made in False, True:
                run(chain("x", known[kind], depth, made=made), 10)
