# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io

from rich.console import Console

from ubypass.bench.console import wide_enough


def test_a_file_gets_eighty_columns() -> None:
    out = io.StringIO()
    console = wide_enough(Console(file=out, width=300))
    assert (console.width, console.file) == (80, out)


def test_a_narrow_terminal_is_widened() -> None:
    narrow = Console(file=io.StringIO(), width=40, force_terminal=True)
    assert wide_enough(narrow).width == 80


def test_a_wide_terminal_stays() -> None:
    wide = Console(file=io.StringIO(), width=120, force_terminal=True)
    assert wide_enough(wide) is wide
