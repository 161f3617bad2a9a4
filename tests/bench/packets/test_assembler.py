# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.bench.packets.assembler import assemble
from ubypass.errors import UbError


@pytest.mark.parametrize(
    ("line", "code"),
    [
        # As clang and bpftool write them.
        ("load32 r6, [r1+4]", "6116040000000000"),
        ("load16 r3, [r6+12]", "69630c0000000000"),
        ("load8 r3, [r6+23]", "7163170000000000"),
        ("load64 r4, [r2+0]", "7924000000000000"),
        ("mov r2, r6", "bf62000000000000"),
        ("mov r0, 2", "b700000002000000"),
        ("add r2, 42", "070200002a000000"),
        ("sub r4, r2", "1f24000000000000"),
        ("add r5, -1", "07050000ffffffff"),
        ("atomic_add [r8+16], r5", "db58100000000000"),
        ("call 51", "8500000033000000"),
        ("exit", "9500000000000000"),
        ("map r1, 7", "1811000007000000" + "0000000000000000"),
        ("value r8, 7", "1828000007000000" + "0000000000000000"),
    ],
)
def test_instructions(line: str, code: str) -> None:
    assert assemble(line).hex() == code


def test_labels_names_and_comments() -> None:
    text = """
            value  r8, counters  ; two slots
    again:
            jgt    r2, r7, end   ; forwards
            jne    r3, port, again
            jlt    r0, 7, again
            jump   again
    end:
            exit
    """
    code = assemble(text, {"counters": 3, "port": 0x901})
    assert code[16:].hex(" ", 8) == (
        "2d72030000000000 5503feff01090000 a500fdff07000000 0500fcff00000000 "
        "9500000000000000"
    )


@pytest.mark.parametrize(
    "line",
    [
        *("mul r1, 2", "mov r1", "mov x1, 2", "load8 r1, r2", "jump nowhere"),
        *("jgt r1, r2, 5", "exit 1", "mov r1, unknown", "mov r1, 0x100000000"),
        *("load8 r1, [r2+40000]",),
    ],
)
def test_no_instruction(line: str) -> None:
    with pytest.raises(UbError, match=r"instruction|assemble"):
        assemble(line)
