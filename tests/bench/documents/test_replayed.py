# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.bench.documents.samples import XEON, sentences
from ubypass.bench.documents.replayed import REPLAYED
from ubypass.bench.replay import Replayed
from ubypass.page import markdown

_FAST = Replayed("fast", 4, 1, 500, 0.5, 0.2, XEON)
_SLOW = Replayed("slow", 9, 0, 900, 1.5, 0.9, XEON)


def test_the_slowest_is_named() -> None:
    assert "at most 1.50 s of CPU time, for 900 instructions (slow)" in sentences(
        REPLAYED, _FAST, _SLOW
    )


def test_what_misses_the_goal_is_listed() -> None:
    assert "goal" not in markdown.section(REPLAYED.section([_FAST]))
    text = markdown.section(REPLAYED.section([_FAST, _SLOW]))
    assert "| fast | 4 | 1 | 500 | 0.50 | 0.20 |" in text
    assert text.endswith("- slow: 1.50 s\n")
