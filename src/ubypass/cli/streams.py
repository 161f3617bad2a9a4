# SPDX-License-Identifier: GPL-2.0-only
"""Makes the standard streams safe for any output.

A stream may be closed, or its encoding may lack characters: of messages, or of file
names that are not text.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import TextIO

__all__ = ["ERRORS", "discard", "prepare", "speaks_unicode"]

#: Name of the error handler that replaces characters without an encoding.
ERRORS = "ubypass"

_PLAIN = {
    "→": "->",
    "…": "...",
    "—": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": '"',
    "”": '"',
    "·": ".",
    "≤": "<=",
    "≥": ">=",
}


def prepare() -> None:
    """Open closed streams on /dev/null, and make all characters printable."""
    codecs.register_error(ERRORS, _replace)
    for number, mode in (0, "r"), (1, "w"), (2, "w"):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next opened file gets this number, and the output.
            _open_nowhere(number)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=ERRORS)


def discard(stream: TextIO) -> None:
    """Discard pending and future output of a stream whose reader is gone."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether the stream's encoding has all characters."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def _open_nowhere(number: int) -> None:
    found = os.open(os.devnull, os.O_RDWR)
    if found != number:
        os.dup2(found, number)
        os.close(found)


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or _escaped(c) for c in text), error.end


def _escaped(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte of a file name that is not text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode("ascii")
