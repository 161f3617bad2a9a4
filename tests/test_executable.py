# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import ctypes
import os

import pytest

from tests.open_files import open_files
from ubypass.errors import UbError
from ubypass.executable import Executable

_ANSWER = b"\xb8\x2a\x00\x00\x00\xc3"  # mov eax, 42; ret


def _permissions(address: int) -> str:
    with open("/proc/self/maps", encoding="ascii") as maps:
        for line in maps:
            span, permissions = line.split()[:2]
            start, end = (int(word, 16) for word in span.split("-"))
            if start <= address < end:
                return permissions
    return ""


def test_it_runs() -> None:
    with Executable(_ANSWER) as code:
        assert ctypes.CFUNCTYPE(ctypes.c_int)(code.address)() == 42


def test_never_writable_and_gone_afterwards() -> None:
    code = Executable(_ANSWER)
    address = code.address
    assert _permissions(address) == "r-xp"
    code.close()
    code.close()
    assert _permissions(address) != "r-xp"
    with pytest.raises(ValueError, match="no longer mapped"):
        _ = code.address


def test_more_than_a_page() -> None:
    with Executable(b"\x90" * 10_000 + _ANSWER) as code:
        assert ctypes.CFUNCTYPE(ctypes.c_int)(code.address)() == 42


def test_where_it_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pytest.raises(UbError, match=r"cannot run generated code.*denied") as caught:
        Executable(_ANSWER)
    assert "SELinux" in caught.value.hint


def test_a_mapping_that_is_refused() -> None:
    before = open_files()
    with pytest.raises(UbError, match="Invalid argument"):
        Executable(b"")
    assert not open_files() - before
