# SPDX-License-Identifier: GPL-2.0-only
"""Metadata that contradicts itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.verify import cases
from ubypass.abi import Abi, Exit, ExitFlag, ExitReason, Source
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.tables import check_tables

_LOOP = cases.translate(
    next(case for case in cases.read("pass.s") if case.name == "loop_with_dispatch")
)
_ABI = Abi()


def _rule(**changes: object) -> Rule:
    with pytest.raises(VerifyError) as caught:
        check_tables(replace(_LOOP, **changes), _ABI)  # type: ignore[arg-type]
    return caught.value.rule


def test_what_is_fine() -> None:
    check_tables(_LOOP, _ABI)


def test_sources_and_exits() -> None:
    assert _rule(sources=()) is Rule.PATH
    assert _rule(sources=(Source(0x1000, b""),)) is Rule.PATH
    assert _rule(sources=(Source((1 << 47) - 4097, bytes(8)),)) is Rule.PATH
    high = Exit(1 << 47, ExitReason.FAULT)
    assert _rule(exits=(high, *_LOOP.exits[1:])) is Rule.PATH
    high = Exit(0x1000, ExitReason.FAULT, cx=1 << 47)
    assert _rule(exits=(high, *_LOOP.exits[1:])) is Rule.PATH
    flags = ExitFlag.SLOT_FLAGS | ExitFlag.SLOT_SYSFLAGS
    assert _rule(exits=(Exit(0x1000, ExitReason.FAULT, flags),)) is Rule.PATH


def test_constants_and_entries() -> None:
    entry = _LOOP.entries[0]
    assert _rule(entries=(entry, entry)) is Rule.PATH
    # Of two calls at one address each has an entry, if both may be dispatched.
    check_tables(replace(_LOOP, entries=(entry, replace(entry, nr=1))), Abi())
    assert _rule(entries=(entry, replace(entry, nr=60))) is Rule.PATH
    assert _rule(entries=(replace(entry, user_ip=1 << 63),)) is Rule.PATH
    assert _rule(constants=0) is Rule.PATH
    assert _rule(constants=len(_LOOP.code) + 8) is Rule.PATH
    assert _rule(constants=len(_LOOP.code) - 1) is Rule.PATH
    kernel = bytes(-len(_LOOP.code) % 8) + (1 << 63).to_bytes(8, "little")
    code = _LOOP.code + kernel
    assert _rule(code=code, constants=len(code) - 8) is Rule.PATH
