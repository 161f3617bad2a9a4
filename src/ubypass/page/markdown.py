# SPDX-License-Identifier: GPL-2.0-only
"""Sections as Markdown; plots and listings are left out."""

from __future__ import annotations

from collections.abc import Sequence

from ubypass.page.content import (
    Block,
    Bullets,
    Code,
    Inline,
    Paragraph,
    Section,
    Strong,
    Subheading,
    Table,
    Words,
)

__all__ = ["section"]


def section(content: Section) -> str:
    """A section as Markdown, with an empty line behind each block."""
    parts = [f"## {content.title}", *filter(None, map(_block, content.blocks))]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Subheading):
        return f"### {block.text}"
    if isinstance(block, Paragraph):
        return _words(block.words)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_words(item)}" for item in block.items)
    if isinstance(block, Table):
        return _table(block)
    return ""


def _table(table: Table) -> str:
    rules = "".join(" ---: |" if c.numeric else " --- |" for c in table.columns)
    lines = [
        _row([column.title for column in table.columns]),
        "|" + rules.replace(" ", ""),
        *(_row(list(map(_cell, row))) for row in table.rows),
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _cell(piece: Inline) -> str:
    return _inline(piece).replace("|", "\\|")


def _words(words: Words) -> str:
    return "".join(map(_inline, words))


def _inline(piece: Inline) -> str:
    if isinstance(piece, Code):
        return f"`{piece.text}`"
    return f"**{piece.text}**" if isinstance(piece, Strong) else piece
