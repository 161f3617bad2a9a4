# SPDX-License-Identifier: GPL-2.0-only
"""The exceptions that commands turn into a line for people."""

from __future__ import annotations

import os

__all__ = ["UbError", "UsageError", "permission_hint"]


class UbError(Exception):
    """An error that the user can understand and act on.

    ``message``: what happened and why, in one line; ``hint``: what to do next, or "".
    ``exit_code``: the exit status of the command, not 0.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


class UsageError(UbError):
    """An invalid command line, found before any action."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=2)


def permission_hint() -> str:
    """The hint after the kernel has denied access; a different one for root."""
    if os.geteuid() != 0:
        return "run as root"
    return (
        "not even root may do this here: a container, Yama "
        "(kernel.yama.ptrace_scope) or another security module forbids it"
    )
