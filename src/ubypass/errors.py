# SPDX-License-Identifier: GPL-2.0-only
"""The one exception that commands turn into a line for people."""

from __future__ import annotations

import os

__all__ = ["UbError", "UsageError", "permission_hint"]


class UbError(Exception):
    """Something the user can understand and act on.

    ``message`` says what happened and why, in one line; ``hint``, if any, what to
    do next. ``exit_code`` is what the command returns (non-zero).
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


class UsageError(UbError):
    """A word of the command line makes no sense; found before anything is done."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=2)


def permission_hint() -> str:
    """What to do where the kernel denied something: root cannot become root."""
    if os.geteuid() != 0:
        return "run as root"
    return (
        "root is not allowed to here: a container, Yama (kernel.yama.ptrace_scope) "
        "or another security module forbids it"
    )
