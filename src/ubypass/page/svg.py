# SPDX-License-Identifier: GPL-2.0-only
"""Figures of matplotlib as SVG elements of a page.

Colours come from the page's style sheet and change with it; identifiers are unique in
the page; the output is reproducible.
"""

from __future__ import annotations

import importlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ubypass.errors import UbError
from ubypass.page.html import escape, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FONT", "WIDTH", "Colour", "drawing", "figure", "require", "svg"]

#: Width of a figure in points; a page scales it to the width of its column.
WIDTH = 320.0

#: Size of its text in points: readable on a phone, where the figure is smaller.
FONT = 9.5


class Colour(Enum):
    """The purposes of colours; the values are placeholders for the page's style."""

    INK = "#010101"
    MUTED = "#020202"
    RULE = "#030303"
    PAGE = "#040404"
    TINT = "#050505"
    C1 = "#060601"
    C2 = "#060602"
    C3 = "#060603"
    C4 = "#060604"
    C5 = "#060605"
    C6 = "#060606"
    C7 = "#060607"


_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": FONT,
    "text.color": Colour.INK.value,
    "axes.edgecolor": Colour.RULE.value,
    "axes.labelcolor": Colour.MUTED.value,
    "axes.labelsize": FONT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": Colour.RULE.value,
    "xtick.labelcolor": Colour.MUTED.value,
    "xtick.labelsize": FONT,
    "ytick.color": Colour.RULE.value,
    "ytick.labelcolor": Colour.MUTED.value,
    "ytick.labelsize": FONT,
    "grid.color": Colour.RULE.value,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": FONT,
    "legend.labelcolor": Colour.INK.value,
}

_LEFT_OUT = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|"
    r'<style type="text/css">.*?</style>',
    re.DOTALL,
)
_NAMED = re.compile(r'(\bid="|url\(#|\bhref="#)')


def require() -> None:
    """Raise UbError with an installation hint if matplotlib is missing."""
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise UbError(
            f"plots need matplotlib, which is not usable here ({error})",
            "pip install 'ubypass[report]', or on Debian: "
            "apt install python3-matplotlib",
        ) from error


@contextmanager
def drawing() -> Iterator[None]:
    """The context for making figures and turning them into text. Raises UbError as
    :func:`require` does.
    """
    require()
    import matplotlib

    # Its messages about fonts and caches are of no use here.
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), matplotlib.rc_context(_SETTINGS):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def figure(height: float) -> Figure:
    """An empty figure of :data:`WIDTH` by ``height`` points."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")


def svg(drawn: Figure, key: str, alt: str) -> str:
    """The SVG element; ``key``: unique in the page; ``alt``: the alternative text."""
    import matplotlib

    out = io.StringIO()
    salt = sha256(key.encode()).hexdigest()[:8]
    # No metadata such as date and version.
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        drawn.savefig(out, format="svg", transparent=True, metadata=empty)
    text = _LEFT_OUT.sub("", printable(out.getvalue()))
    text = text.replace("xlink:href=", "href=")
    text = _NAMED.sub(rf"\g<1>f{salt}-", text)
    for colour in Colour:
        text = text.replace(colour.value, f"var(--{colour.name.lower()})")
    opening, _, rest = text.strip().partition(">")
    (box,) = re.findall(r'viewBox="([\d. ]+)"', opening)
    lines = [line.rstrip() for line in rest.splitlines() if line.strip()]
    return "\n".join(
        [
            f'<svg role="img" aria-label="{escape(alt)}" viewBox="{box}" '
            'style="stroke-linejoin: round; stroke-linecap: butt">',
            *lines,
        ]
    )
