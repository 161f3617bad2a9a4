# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.secureboot.inside import PASSWORD
from tests.secureboot.mokmanager import plain, wanted_character


def test_screens_without_controls() -> None:
    assert plain(b"\x1b[2J\x1b[01;01H\x1b[44mEnroll MOK\x1b[0m") == "Enroll MOK"


def test_the_last_character_asked_for_is_typed() -> None:
    screen = "Enter password character 3: *\r\nEnter password character 1: "
    assert wanted_character(screen) == PASSWORD[0].encode()


def test_mokutil_takes_the_password() -> None:
    """To turn off checks it takes 8 to 16 characters."""
    assert 8 <= len(PASSWORD) <= 16
