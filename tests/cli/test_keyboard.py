# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator

import pytest

from ubypass.cli.keyboard import Keyboard


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The side that a person types at, and the side that a program reads."""
    person, program = pty.openpty()
    yield person, program
    for fd in (person, program):
        try:
            os.close(fd)
        except OSError:
            continue


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        (b"q", "q"),
        (b"\x1b[A", "up"),
        (b"\x1bOB", "down"),
        (b"\x1b[6~", "page down"),
        (b"\x1b", "escape"),
        (b"\r", "enter"),
        (b"\x1a", "suspend"),
        (b"jk", "k"),
        (b"\x1b[99~", ""),
        (b"\xff", "\ufffd"),
    ],
)
def test_keys_have_names(terminal: tuple[int, int], typed: bytes, key: str) -> None:
    person, program = terminal
    with Keyboard(program) as keyboard:
        os.write(person, typed)
        assert keyboard.key(10.0) == key


def test_nobody_types(terminal: tuple[int, int]) -> None:
    with Keyboard(terminal[1]) as keyboard:
        assert keyboard.key(0.01) is None


def test_the_terminal_goes_away(terminal: tuple[int, int]) -> None:
    person, program = terminal
    keyboard = Keyboard(program)
    keyboard.__enter__()
    os.close(person)
    with pytest.raises(EOFError):
        keyboard.key(10.0)


def test_the_terminal_is_left_as_it_was(terminal: tuple[int, int]) -> None:
    program = terminal[1]
    before = termios.tcgetattr(program)
    with Keyboard(program):
        assert termios.tcgetattr(program) != before
    assert termios.tcgetattr(program) == before
