# SPDX-License-Identifier: GPL-2.0-only
"""Sections as HTML; the only place where text is escaped for HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from itertools import count

from ubypass.page.content import (
    Block,
    Bullets,
    Code,
    Inline,
    Listing,
    Paragraph,
    Plot,
    Section,
    Strong,
    Subheading,
    Table,
    Words,
)

__all__ = ["escape", "link", "printable", "section"]


def section(content: Section, key: str) -> str:
    """A section as HTML; ``key``: its id in the document. Raises UbError if plots
    cannot be drawn.
    """
    numbers = count(1)
    label = f' <span class="label">{escape(content.label)}</span>'
    return "\n".join(
        [
            f'<section aria-labelledby="{key}">',
            f'<h2 id="{key}">{escape(content.title)}{label if content.label else ""}'
            "</h2>",
            *_blocks(content.blocks, lambda: f"{key}-{next(numbers)}"),
            "</section>",
        ]
    )


def link(text: str, target: str, download: str = "") -> str:
    """A link to ``target``; ``download``: the file name for saving."""
    name = f' download="{escape(download)}"' if download else ""
    return f'<a href="{escape(target)}"{name}>{escape(text)}</a>'


def escape(text: str) -> str:
    """Text escaped for elements and attributes."""
    return html.escape(printable(text))


def printable(text: str) -> str:
    """Text with a replacement for each character that is not allowed in documents."""
    return "".join(c if _is_text(c) else "�" for c in text)


def _is_text(character: str) -> bool:
    code = ord(character)
    return character in "\t\n" or not (
        code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
    )


def _blocks(blocks: Sequence[Block], key: Callable[[], str]) -> list[str]:
    """The blocks as HTML; consecutive plots are side by side if there is room."""
    parts: list[str] = []
    row: list[Plot] = []
    for block in [*blocks, None]:
        if isinstance(block, Plot):
            row.append(block)
            continue
        if row:
            drawn = [_plot(plot, key()) for plot in row]
            parts += ['<div class="plots">', *drawn, "</div>"]
            row = []
        if block is not None:
            parts.append(_block(block, key))
    return parts


def _block(block: Block, key: Callable[[], str]) -> str:
    if isinstance(block, Subheading):
        return f"<h3>{escape(block.text)}</h3>"
    if isinstance(block, Paragraph):
        return f"<p>{_words(block.words)}</p>"
    if isinstance(block, Bullets):
        items = "\n".join(f"<li>{_words(item)}</li>" for item in block.items)
        return f"<ul>\n{items}\n</ul>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Plot):
        return _plot(block, key())
    if isinstance(block, Listing):
        return _scrolling(f"<pre>{escape(block.text)}</pre>", "listing")
    return "\n".join(
        [
            f"<details><summary>{escape(block.title)}</summary>",
            *_blocks(block.blocks, key),
            "</details>",
        ]
    )


def _table(table: Table) -> str:
    kinds = [' class="number"' if c.numeric else "" for c in table.columns]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(column.title)}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    lines = [
        "<table>",
        f'<caption class="hidden">{escape(table.title)}</caption>',
        f"<thead><tr>{heads}</tr></thead>",
        "<tbody>",
    ]
    for row in table.rows:
        cells = "".join(
            f"<td{kind}>{_inline(cell)}</td>"
            for cell, kind in zip(row, kinds, strict=True)
        )
        lines.append(f"<tr>{cells}</tr>")
    return _scrolling("\n".join([*lines, "</tbody>", "</table>"]), table.title)


def _scrolling(inner: str, what: str) -> str:
    """A box that scrolls on its own, also by keyboard."""
    return (
        f'<div class="box" role="group" aria-label="{escape(what)}" tabindex="0">\n'
        f"{inner}\n</div>"
    )


def _plot(plot: Plot, key: str) -> str:
    command = (
        f'<div class="command"><code>{escape(plot.command)}</code></div>'
        if plot.command
        else ""
    )
    return "\n".join(
        [
            "<figure>",
            plot.draw(key),
            f'<figcaption><span class="label">{escape(plot.standard.value)}</span> '
            f"{_words(plot.caption)}{command}</figcaption>",
            "</figure>",
        ]
    )


def _words(words: Words) -> str:
    return "".join(map(_inline, words))


def _inline(piece: Inline) -> str:
    if isinstance(piece, Code):
        return f"<code>{escape(piece.text)}</code>"
    if isinstance(piece, Strong):
        return f"<strong>{escape(piece.text)}</strong>"
    return escape(piece)
