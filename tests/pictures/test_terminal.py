# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

from tests.pictures import terminal

#: Shows keys that are typed, and the size of its terminal.
_PROGRAM = """
import os, sys, tty
tty.setraw(0)
typed = ""
while "q" not in typed:
    size = os.get_terminal_size()
    lines = [f"{size.columns}x{size.lines} <a & b>", f"\\x1b[7mtyped {typed}\\x1b[0m"]
    sys.stdout.write("\\x1b[H" + "\\r\\n".join(lines))
    sys.stdout.write("\\x1b[H")
    sys.stdout.flush()
    typed += os.read(0, 1).decode()
"""
_COMMAND = [sys.executable, "-c", _PROGRAM]


def test_keys_are_typed_and_the_last_drawing_is_taken() -> None:
    steps = [terminal.Step("typed $", "x"), terminal.Step("typed x$", "q")]
    drawing = terminal.shown(_COMMAND, 5, steps)
    assert drawing.startswith("80x5 <a & b>")
    assert "typed x" in drawing


def test_a_picture_is_svg_without_anything_of_the_network() -> None:
    drawing = terminal.shown(_COMMAND, 3, [terminal.Step("typed", "q")])
    picture = terminal.picture(drawing, 3)
    root = xml.etree.ElementTree.fromstring(picture)
    words = "".join(root.itertext()).replace("\xa0", " ")
    assert "80x3 <a & b>" in words
    assert "typed" in words
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_what_never_appears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_LIMIT", 1.0)
    with pytest.raises(TimeoutError, match="nothing like that"):
        terminal.shown(_COMMAND, 3, [terminal.Step("nothing like that", "q")])


def test_by_command_line(tmp_path: Path) -> None:
    out = tmp_path / "out.svg"
    terminal.main([str(out), "--lines", "4", "--until", "typed", "--", *_COMMAND])
    assert "80x4" in out.read_text()
