# SPDX-License-Identifier: GPL-2.0-only
"""Errors for people: what happened, and what to do next."""

from __future__ import annotations

import os

import pytest

from ubypass.errors import UbError, permission_hint
from ubypass.process import memory


def test_root_is_not_told_to_become_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert permission_hint() == "run as root"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "not even root" in permission_hint()
    assert "ptrace_scope" in permission_hint()


def test_memory_that_may_not_be_read_comes_with_that_hint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(UbError, match="the memory map of process 7") as error:
        memory.ProcessMemory(7)
    assert error.value.hint == permission_hint()
