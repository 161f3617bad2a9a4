# SPDX-License-Identifier: GPL-2.0-only
"""The table says what the module does."""

from __future__ import annotations

import re

from tests.places import ROOT
from ubypass.device.tunables import TUNABLES
from ubypass.device.uapi import Tunable

_SOURCE = (ROOT / "kernel" / "tunables.c").read_text()
_HEADER = (ROOT / "kernel" / "include" / "uapi" / "ub.h").read_text()


def _number(word: str) -> int:
    """A number of C, or a constant: of the interface, or what a kernel has that is not
    for real time.
    """
    if word.isdigit():
        return int(word)
    ordinary = re.search(rf"#define {word}\s+\(IS_ENABLED.* : (\d+)\)", _SOURCE)
    if ordinary:
        return int(ordinary[1])
    match = re.search(rf"#define {word}\s+(?:\(1U << (\d+)\)|(\d+))", _HEADER)
    assert match, word
    return 1 << int(match[1]) if match[1] else int(match[2])


def test_defaults_and_bounds_are_those_of_the_module() -> None:
    rows = re.findall(r"\[UB_TUNE_(\w+)\]\s*= \{ (\w+), (\w+), (\w+) \}", _SOURCE)
    assert {Tunable[name] for name, *_ in rows} == set(Tunable)
    for name, *numbers in rows:
        known = TUNABLES[Tunable[name]]
        assert [known.usual, known.least, known.most] == list(map(_number, numbers))


def test_each_has_a_meaning_that_fits_a_line() -> None:
    assert TUNABLES.keys() == set(Tunable)
    for known in TUNABLES.values():
        assert known.least <= known.usual <= known.most
        assert 0 < len(known.text) <= 60
