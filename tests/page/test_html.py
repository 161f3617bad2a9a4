# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.page.samples import NASTY, section
from tests.page.wellformed import problems, text_of
from ubypass.page import html
from ubypass.page.content import Column, Section, Table


def test_everything_is_escaped() -> None:
    text = html.section(section(NASTY), "one")
    assert problems(text) == []
    assert "<script" not in text
    assert "\x00" not in text
    assert "\x1b" not in text
    assert text_of(text).count("alert") > 10


def test_sections_do_not_share_identifiers() -> None:
    assert problems(html.section(section(), "a") + html.section(section(), "b")) == []


def test_tables_scroll_in_a_box_of_their_own() -> None:
    table = Table("figures", (Column("a", False), Column("b")), (("x", "1"),))
    text = html.section(Section("s", (table,)), "s")
    assert '<div class="box" role="group" aria-label="figures" tabindex="0">' in text
    assert '<td class="number">1</td>' in text
    assert "<td>x</td>" in text


def test_a_plot_says_how_its_figures_were_obtained_and_by_what_command() -> None:
    text = html.section(section("ub bench io"), "s")
    assert text.count('<span class="label">counted</span>') == 3
    assert text.count('<div class="command"><code>ub bench io</code></div>') == 3


def test_links() -> None:
    assert html.link("a<b", "#x") == '<a href="#x">a&lt;b</a>'
    assert 'download="a&quot;.json"' in html.link("a", "data:,", 'a".json')


@pytest.mark.parametrize("code", [0, 8, 0x1B, 0x7F, 0x9F, 0xD800])
def test_characters_that_no_page_may_hold(code: int) -> None:
    assert html.escape(f"a{chr(code)}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert html.escape("a\tb\n") == "a\tb\n"


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("<p>a", "not closed"),
        ("<p><b></p></b>", "where"),
        ('<p id="a"></p><p id="a"></p>', "twice"),
        ("<svg></svg>", "alternative"),
        ('<img src="data:,">', "alternative"),
        ('<a href="https://example.org">x</a>', "is loaded"),
        ('<a href="#nowhere">x</a>', "to go to"),
        ("<script></script>", "<script>"),
        ('<p onclick="x">a</p>', "handler"),
        ('<p style="background: url(http://x)">a</p>', "is loaded"),
    ],
)
def test_the_check_itself_finds(page: str, problem: str) -> None:
    assert problem in "\n".join(problems(page))
