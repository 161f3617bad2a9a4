# SPDX-License-Identifier: GPL-2.0-only
"""The loop that is translated by hand is the one of the program."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from tests.soak.regions import LOOP, PAGE, PAGES, SIZE, Regions
from ubypass.abi import Abi, ExitReason

_SOURCE = (Path(__file__).parent / "programs" / "pages.c").read_text()


def _code() -> bytes:
    found = re.search(r"code\[\] = \{(.*?)\};", _SOURCE, re.DOTALL)
    assert found is not None
    return bytes(int(word, 0) for word in found[1].split(",") if word.strip())


def test_places_are_those_of_the_program() -> None:
    code = _code()
    assert f"#define PAGES\t\t{PAGES:#x}UL\n" in _SOURCE
    assert f"#define PAGE\t\t{PAGE}UL\n" in _SOURCE
    loop = code[LOOP : LOOP + SIZE]
    assert loop[:7] == b"\xb8" + struct.pack("<I", 186) + b"\x0f\x05"
    # Ends with a jump to its start.
    assert loop[-2:] == b"\x75" + struct.pack("<b", -SIZE)


def test_a_translation_has_the_constant_of_the_bytes() -> None:
    loop = bytearray(_code()[LOOP : LOOP + SIZE])
    loop[17:21] = b"abcd"
    made = Regions.of(Abi()).translation(PAGES + LOOP, bytes(loop), 100)
    assert made.code.count(b"abcd") == 1
    assert made.code.endswith(b"\xcc" * 100)
    assert made.constants == len(made.code)
    (source,) = made.sources
    assert (source.start, source.data) == (PAGES + LOOP, bytes(loop))


def test_a_fault_leaves_at_the_access() -> None:
    loop = _code()[LOOP : LOOP + SIZE]
    made = Regions.of(Abi()).translation(PAGES + LOOP, loop)
    (leave,) = (each for each in made.exits if each.reason is ExitReason.FAULT)
    at = leave.user_ip - PAGES - LOOP
    assert loop[at : at + 4] == b"\x49\x03\x2c\x24"  # add rbp, [r12]
    (fault,) = made.faults
    assert made.code[fault.code_offset :][:4] == b"\x49\x03\x2c\x24"
    (entry,) = made.entries
    assert loop[entry.user_ip - PAGES - LOOP :][:3] == b"\x48\x01\xc5"
