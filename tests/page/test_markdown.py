# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.page.samples import section
from ubypass.page import markdown
from ubypass.page.content import Column, Section, Strong, Table


def test_blocks_one_after_the_other() -> None:
    text = markdown.section(section("a|b"))
    assert text == (
        "## a|b\n\n### a|b\n\na|b`a|b`**a|b**\n\n- a|b\n- **a|b**\n\n"
        "| a|b | n |\n|---|---:|\n| a\\|b | 1 |\n| `a\\|b` | 2 |\n"
    )


def test_cells_stay_in_their_columns() -> None:
    table = Table("t", (Column("a", False), Column("b")), ((Strong("x|y"), "1"),))
    assert "| **x\\|y** | 1 |" in markdown.section(Section("s", (table,)))
