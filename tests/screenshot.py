# SPDX-License-Identifier: GPL-2.0-only
"""Make a picture of a page, or of a part of it, for README.

    .venv/bin/python -m tests.screenshot REPORT.html OUT.png --part "Reads by size"

Needs the browser that ``make test`` installs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import browser

__all__ = ["main", "picture"]

#: Position and size of the first element of a kind with these words in its heading.
_PLACE = """(() => {
    const words = %s;
    const found = [...document.querySelectorAll('main > section, figure')].find(
        e => (e.querySelector('h2, figcaption') || e).textContent.includes(words));
    if (!found) return null;
    const box = found.getBoundingClientRect();
    return {x: box.x + scrollX - 16, y: box.y + scrollY, width: box.width + 32,
            height: box.height + 16};
})()"""


def picture(file: Path, width: int, dark: bool, part: str, height: int) -> bytes:
    """The page in ``file``, ``width`` pixels wide, as PNG.

    ``part``: words of the heading of a section, or of the caption of a plot, which is
    shown alone; "" for all. ``height``: at most so many pixels, 0 for all. Raises
    ValueError if there is no such part.
    """
    with browser.opened() as page:
        page.open(file, width, dark)
        if part:
            place = page.value(_PLACE % json.dumps(part))
            if place is None:
                raise ValueError(f"{file} has no section and no plot with {part!r}")
        else:
            place = _whole(page)
        if height:
            place = {**place, "height": min(place["height"], height)}
        return page.picture(place)


def _whole(page: browser.Page) -> Mapping[str, float]:
    height = page.value("document.documentElement.scrollHeight")
    return {"x": 0, "y": 0, "width": page.width, "height": height}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a picture as the command line says."""
    parser = argparse.ArgumentParser(prog="tests.screenshot", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("page", type=Path, metavar="REPORT.html")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--width", type=int, default=1140, metavar="PIXELS")
    parser.add_argument("--height", type=int, default=0, metavar="PIXELS")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument(
        "--part",
        default="",
        metavar="WORDS",
        help="only the section or plot with these words in its heading or caption",
    )
    args = parser.parse_args(arguments)
    if browser.found() is None:
        parser.error("there is no browser: make test installs one")
    if not args.page.is_file():
        parser.error(f"there is no page {args.page}: ub bench report makes one")
    try:
        png = picture(
            args.page.resolve(), args.width, args.dark, args.part, args.height
        )
    except ValueError as error:
        parser.error(str(error))
    args.out.write_bytes(png)


if __name__ == "__main__":
    main()
