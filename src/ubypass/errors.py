# SPDX-License-Identifier: GPL-2.0-only
"""The one exception that commands turn into a line for people."""

from __future__ import annotations


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
