# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.bench.documents.samples import sentences
from tests.bench.packets.samples import packet_record, table_of_records
from tests.page.wellformed import text_of
from ubypass.bench.documents.packets import PACKETS
from ubypass.page import html, markdown
from ubypass.page.content import plots

_MINUS = "\N{MINUS SIGN}"


def test_the_section() -> None:
    text = markdown.section(PACKETS.section(table_of_records()))
    assert text.startswith("## Packets\n\n`ub bench packets`, 2026-01-01; Linux 6.1.0")
    for line in (
        "| nothing attached | 64 | 2,000 | - | 2,000 | - | - | right |",
        f"| XDP, then dropped | 64 | 1,500 | {_MINUS}500 | 1,550 | {_MINUS}450 | - | "
        "right |",
        "| raw socket, boosted | 64 | 3,800 | +1,800 | 3,850 | +1,850 | 99.9% | "
        "right |",
        "| AF_XDP ring | 64 | not run | | | | - | - |",
    ):
        assert f"\n{line}\n" in text, text


def test_sentences() -> None:
    text = sentences(PACKETS, *table_of_records())
    assert "64 bytes: sending and the stack take 2,000 instructions" in text
    assert "AF_XDP ring: not run: cannot make a map" in text


def test_what_is_wrong() -> None:
    text = html.section(PACKETS.section([packet_record(wrong=1)]), "s")
    assert "<strong>WRONG</strong>" in text
    assert "<raw socket, 64 bytes: WRONG" in sentences(PACKETS, packet_record(wrong=1))


def test_a_plot_of_what_each_receiver_adds() -> None:
    plain, add = plots([PACKETS.section(table_of_records())])
    assert f"XDP, then dropped {_MINUS}500" in text_of(plain.draw("a"))
    assert "raw socket, boosted +1,850" in text_of(add.draw("b"))
    assert "AF_XDP" not in text_of(plain.draw("c"))
