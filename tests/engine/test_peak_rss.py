# SPDX-License-Identifier: GPL-2.0-only
"""The peak is of this process, and it moves."""

from __future__ import annotations

from ubypass.engine.peak_rss import peak_rss_bytes


def test_the_peak_rises_with_use() -> None:
    before = peak_rss_bytes()
    assert before > 1 << 20
    block = bytearray(before + (32 << 20))
    assert peak_rss_bytes() > before + (16 << 20)
    del block
