# SPDX-License-Identifier: GPL-2.0-only
"""Small programs for the tests of region discovery."""

from __future__ import annotations

from tests.translate.assemble import assemble
from ubypass.region.decode import Decoded
from ubypass.region.reader import BytesReader

TEXT = 0x40_1000


def program(source: str) -> tuple[BytesReader, dict[str, int]]:
    """A reader of the assembled program, and its labels."""
    code, labels = assemble(source, TEXT)
    return BytesReader({TEXT: code}), labels


def decoded(source: str) -> tuple[Decoded, dict[str, int]]:
    """The same, decoding."""
    reader, labels = program(source)
    return Decoded(reader), labels
