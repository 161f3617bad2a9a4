# SPDX-License-Identifier: GPL-2.0-only
"""The content of documents, independent of their appearance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "Block",
    "Bullets",
    "Code",
    "Column",
    "Folded",
    "Inline",
    "Listing",
    "Paragraph",
    "Plot",
    "Section",
    "Standard",
    "Strong",
    "Subheading",
    "Table",
    "Words",
    "plots",
]


class Standard(Enum):
    """How a figure was obtained. A plot never has figures of two standards."""

    COUNTED = "counted"
    TIMED = "timed"
    MODELLED = "modelled"
    EMULATED = "timed in an emulator"


@dataclass(frozen=True, slots=True)
class Code:
    """Text in code style: a command, a name."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Emphasized text."""

    text: str


Inline = str | Code | Strong
#: A text, in pieces.
Words = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of text."""

    words: Words


@dataclass(frozen=True, slots=True)
class Subheading:
    """A heading inside of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A bullet list."""

    items: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading; ``numeric``: flush right."""

    title: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with one cell for each column. ``title``: for screen readers.

    Raises ValueError for a row with another number of cells, TypeError for a cell that
    is no text.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Inline, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of {self.title!r} does not fit its columns")
        for cell in (cell for row in self.rows for cell in row):
            if not isinstance(cell, Inline):
                raise TypeError(f"{cell!r} is no text")


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with figures of one ``standard``.

    ``draw`` makes an SVG element with an alternative text from a key that is unique in
    the page; may raise UbError. ``command`` reproduces the figures; "" in records
    that do not name it.
    """

    draw: Callable[[str], str]
    caption: Words
    standard: Standard
    command: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Preformatted lines."""

    text: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Content that is shown on request."""

    title: str
    blocks: tuple[Block, ...]


Block = Subheading | Paragraph | Bullets | Table | Plot | Listing | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its content. ``label``: how the figures were obtained."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)
    label: str = ""


def plots(sections: Sequence[Section]) -> Iterator[Plot]:
    """All plots of the sections, including folded ones."""
    waiting = [block for section in sections for block in section.blocks]
    while waiting:
        block = waiting.pop(0)
        if isinstance(block, Plot):
            yield block
        elif isinstance(block, Folded):
            waiting[:0] = block.blocks
