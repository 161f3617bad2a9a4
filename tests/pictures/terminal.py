# SPDX-License-Identifier: GPL-2.0-only
"""A picture of what a program shows on a terminal, as SVG.

    .venv/bin/python -m tests.pictures.terminal OUT.svg --lines 14 -- ub top

The program runs in a terminal of its own. It must redraw its whole screen, as programs
with rich's ``Live`` do: the last complete drawing is the picture.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

__all__ = ["COLUMNS", "Step", "main", "picture", "shown"]

COLUMNS = 80
_HOME = "\x1b[H"
#: Seconds; only ends what hangs.
_LIMIT = 1200.0

#: Of rich's letters, and around all of them, in pixels.
_WIDTH, _HEIGHT, _MARGIN = 12.2, 24.4, 10

#: Rich's own format names two fonts of the network; this one has none, and no window.
_FORMAT = """\
<svg viewBox="0 0 @WIDTH @HEIGHT" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="@WIDTH" height="@HEIGHT"/>
</clipPath>
{lines}
</defs>
<rect width="@WIDTH" height="@HEIGHT" rx="6" fill="#292929"/>
<g transform="translate(@MARGIN, @MARGIN)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


@dataclass(frozen=True, slots=True)
class Step:
    """Waits for a drawing whose text matches ``until``, and types ``keys`` then."""

    until: str
    keys: str


def shown(command: Sequence[str], lines: int, steps: Sequence[Step]) -> str:
    """The drawing of the last step, with the terminal's control sequences.

    The terminal has ``lines`` lines of ``COLUMNS`` columns. The last keys must end the
    program. Raises TimeoutError if a step waits in vain.
    """
    person, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, COLUMNS, 0, 0))
    child = subprocess.Popen(
        command,
        stdin=side,
        stdout=side,
        stderr=side,
        env={**os.environ, "TERM": "xterm-256color"},
        process_group=0,
    )
    try:
        for step in steps:
            drawing = _drawing(person, step.until)
            os.write(person, step.keys.encode())
        _end(person, child)
    finally:
        child.kill()
        child.wait()
        os.close(side)
        os.close(person)
    return drawing


def _drawing(person: int, until: str) -> str:
    seen = ""
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        if select.select([person], [], [], 0.2)[0]:
            seen += os.read(person, 1 << 16).decode(errors="replace")
        # The last one may go on; the one before it is complete.
        _, *drawings = seen.split(_HOME)
        for drawing in reversed(drawings[:-1]):
            if re.search(until, "\n".join(row.plain for row in _rows(drawing))):
                return drawing
        seen = "".join(_HOME + drawing for drawing in drawings[-1:])
    raise TimeoutError(f"no {until!r} is shown: {seen[-2000:]!r}")


def _rows(drawing: str) -> list[Text]:
    # A carriage return ends each; rich would take it for a line to be written again.
    return [Text.from_ansi(row) for row in drawing.replace("\r", "").split("\n")]


def _end(person: int, child: subprocess.Popen[bytes]) -> None:
    """Read on until it has ended, as a terminal does."""
    end = time.monotonic() + _LIMIT
    while child.poll() is None and time.monotonic() < end:
        if select.select([person], [], [], 0.1)[0]:
            os.read(person, 1 << 16)


def picture(drawing: str, lines: int) -> str:
    """The drawing as SVG, of ``COLUMNS`` columns."""
    console = Console(
        record=True,
        width=COLUMNS,
        height=lines,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    for row in _rows(drawing)[:lines]:
        console.print(row, soft_wrap=True)
    sizes = {
        "@WIDTH": COLUMNS * _WIDTH + 2 * _MARGIN,
        "@HEIGHT": lines * _HEIGHT + 2 * _MARGIN,
        "@MARGIN": _MARGIN,
    }
    form = _FORMAT
    for name, size in sizes.items():
        form = form.replace(name, f"{size:g}")
    svg = console.export_svg(title="", code_format=form, unique_id="terminal")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a picture as the command line says."""
    parser = argparse.ArgumentParser(
        prog="tests.pictures.terminal", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("out", type=Path, metavar="OUT.svg")
    parser.add_argument("--lines", type=int, default=24, metavar="LINES")
    parser.add_argument("--keys", default="q", help="what ends it (default: q)")
    parser.add_argument(
        "--until", default="", metavar="PATTERN", help="wait until it shows this"
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    args = parser.parse_args(arguments)
    steps = [Step(args.until, args.keys)]
    drawing = shown(args.command, args.lines, steps)
    args.out.write_text(picture(drawing, args.lines), "utf-8")


if __name__ == "__main__":
    main()
