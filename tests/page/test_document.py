# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import base64
import re

from tests.page.samples import NASTY, section
from tests.page.wellformed import problems
from ubypass.page.document import Attached, document


def test_a_page_is_whole_and_loads_nothing() -> None:
    page = document(
        NASTY, NASTY, [section("a"), section(NASTY)], [Attached(NASTY, NASTY)]
    )
    assert problems(page) == []
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert not re.search(r"https?://|@import|@font-face", page)


def test_files_are_in_it_as_they_are() -> None:
    text = '[{"a": "<\N{EURO SIGN}>"}]\n'
    page = document("t", "l", [], [Attached("x.json", text)])
    (found,) = re.findall(r'href="data:application/json;base64,([^"]+)"', page)
    assert base64.b64decode(found).decode() == text
    assert 'download="x.json"' in page


def test_both_colour_schemes_define_all_colours() -> None:
    page = document("t", "l", [section()], [])
    light, dark = re.findall(r":root \{(.*?)\}", page, re.S)
    used = set(re.findall(r"var\((--[\w]+)\)", page))
    for scheme in (light, dark):
        assert used <= set(re.findall(r"(--\w+):", scheme))
    assert "prefers-color-scheme: dark" in page


def test_the_same_content_makes_the_same_page() -> None:
    assert document("t", "l", [section()], []) == document("t", "l", [section()], [])
