# SPDX-License-Identifier: GPL-2.0-only
"""A section of everything, that tests of this package share."""

from __future__ import annotations

from ubypass.page.charts import Bar, Row, rows
from ubypass.page.content import (
    Bullets,
    Code,
    Column,
    Folded,
    Listing,
    Paragraph,
    Plot,
    Section,
    Standard,
    Strong,
    Subheading,
    Table,
)
from ubypass.page.svg import Colour

NASTY = "<script>alert(\"1\")</script> & 'x' |\x00\x1b"


def drawn(key: str) -> str:
    return rows(
        key, f"Bars {NASTY}", [Row(NASTY, "$x_1$", (Bar(0, 2, Colour.C1),))], NASTY
    )


def section(text: str = "words") -> Section:
    """One block of each kind, with ``text`` wherever text may stand."""
    plot = Plot(drawn, (text, Code(text)), Standard.COUNTED, text)
    return Section(
        text,
        (
            Subheading(text),
            Paragraph((text, Code(text), Strong(text))),
            plot,
            plot,
            Bullets(((text,), (Strong(text),))),
            Table(
                text,
                (Column(text, False), Column("n")),
                ((text, "1"), (Code(text), "2")),
            ),
            Folded(text, (plot, Listing(text))),
        ),
        text,
    )
