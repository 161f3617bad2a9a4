# SPDX-License-Identifier: GPL-2.0-only
"""A whole page in one file, without external resources and scripts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from ubypass.page.content import Section
from ubypass.page.html import escape, link, section

__all__ = ["Attached", "document"]

#: Content security policy: browsers fetch and run nothing, whatever the page contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class Attached:
    """A file in the page for download: JSON text."""

    name: str
    text: str


def document(
    title: str, lead: str, sections: Sequence[Section], attached: Sequence[Attached]
) -> str:
    """The page as HTML. ``lead``: text below the title."""
    style = (files("ubypass.page") / "style.css").read_text(encoding="utf-8")
    keys = [f"section-{number}" for number in range(1, len(sections) + 1)]
    contents = "\n".join(
        f"<li>{link(one.title, f'#{key}')}</li>"
        for key, one in zip(keys, sections, strict=True)
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>",
            # Without this element browsers request a default icon.
            '<link rel="icon" href="data:,">',
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            "<header>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="lead">{escape(lead)}</p>',
            f'<nav aria-label="Contents"><ul>\n{contents}\n</ul></nav>',
            "</header>",
            "<main>",
            *map(section, sections, keys),
            *_downloads(attached),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _downloads(attached: Sequence[Attached]) -> list[str]:
    if not attached:
        return []
    items = []
    for one in attached:
        raw = one.text.encode(errors="replace")
        target = "data:application/json;base64," + base64.b64encode(raw).decode()
        items.append(
            f"<li>{link(one.name, target, one.name)} "
            f'<span class="note">{len(raw):,} bytes</span></li>'
        )
    return [
        '<section aria-labelledby="records">',
        '<h2 id="records">Records</h2>',
        "<p>The data of this page, for download:</p>",
        "<ul>",
        *items,
        "</ul>",
        "</section>",
    ]
