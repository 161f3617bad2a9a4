# SPDX-License-Identifier: GPL-2.0-only
"""Names of all system calls of x86-64, for people."""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["call_name"]


def call_name(nr: int) -> str:
    """The name in the kernel's table; for unknown numbers such as 1000: "call 1000"."""
    return _names().get(nr, f"call {nr}")


@cache
def _names() -> dict[int, str]:
    text = resources.files("ubypass.process").joinpath("syscalls.txt").read_text()
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {int(number): name for number, name in rows}
