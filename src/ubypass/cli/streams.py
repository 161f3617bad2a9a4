# SPDX-License-Identifier: GPL-2.0-only
"""Makes the standard streams fit for what is printed, whatever they are.

A stream may be closed, and its encoding may lack what a text holds: characters of our
own messages, file names that are no text at all.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import TextIO

__all__ = ["ERRORS", "discard", "prepare", "speaks_unicode"]

#: The name of the error handler that replaces what cannot be encoded.
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
    """Open what is closed, to nowhere, and let nothing be impossible to print."""
    codecs.register_error(ERRORS, _replace)
    for number, mode in (0, "r"), (1, "w"), (2, "w"):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened gets this number, and our output.
            _open_nowhere(number)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=ERRORS)


def discard(stream: TextIO) -> None:
    """What is still to be written to the stream goes nowhere: nobody can read it."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether any character can be printed there."""
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
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte of a name that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode("ascii")
