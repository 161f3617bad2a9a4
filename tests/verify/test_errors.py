# SPDX-License-Identifier: GPL-2.0-only
"""Refusals read well and say which rule."""

from __future__ import annotations

from ubypass.errors import UbError
from ubypass.verify.errors import Rule, VerifyError


def test_message() -> None:
    error = VerifyError(
        Rule.POINTER, "nothing is known about rdi", 0x40, "mov eax, [rdi]"
    )
    assert isinstance(error, UbError)
    assert "'pointer'" in error.message
    assert "0x40 (mov eax, [rdi]): nothing is known about rdi" in error.message
    assert error.hint
    assert (error.rule, error.offset) == (Rule.POINTER, 0x40)


def test_message_without_place() -> None:
    assert " at " not in VerifyError(Rule.PATH, "no code").message
