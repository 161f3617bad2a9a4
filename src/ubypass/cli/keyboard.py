# SPDX-License-Identifier: GPL-2.0-only
"""Single keys from a terminal, whose settings are restored at the end."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from typing import Any

__all__ = ["Keyboard"]

_NAMED = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
    b"\x1a": "suspend",
    b"\x0c": "redraw",
}
_LONGEST = 16  # bytes of the longest key


class Keyboard:
    """A context manager; Ctrl-C interrupts as usual, Ctrl-Z is the key "suspend".

    ``fd`` must be a terminal.
    """

    def __init__(self, fd: int | None = None) -> None:
        self._fd = sys.stdin.fileno() if fd is None else fd
        self._before: list[Any] = []

    def __enter__(self) -> Keyboard:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        now = termios.tcgetattr(self._fd)
        now[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._fd, termios.TCSADRAIN, now)
        return self

    def __exit__(self, *_: object) -> None:
        # Discard pending input: it is not meant for the shell.
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._before)

    def key(self, seconds: float) -> str | None:
        """The next key within ``seconds``: a letter, or a name such as "up".

        None: there was no key. Raises ``EOFError`` if the terminal is gone.
        """
        if not select.select([self._fd], [], [], seconds)[0]:
            return None
        try:
            found = os.read(self._fd, _LONGEST)
        except OSError as error:
            raise EOFError from error
        if not found:
            raise EOFError
        if found in _NAMED:
            return _NAMED[found]
        # Of several letters at once the last one counts.
        return found.decode(errors="replace")[-1] if found[:1] != b"\x1b" else ""
