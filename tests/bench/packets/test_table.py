# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console

from tests.bench.packets.samples import packet_record, table_of_records
from ubypass.bench.packets import table
from ubypass.bench.packets.record import PacketRecord


def shown(records: Sequence[PacketRecord]) -> str:
    file = io.StringIO()
    table.show(records, Console(file=file, width=40))
    return file.getvalue()


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line.removeprefix(start).split()


def test_all_of_it_fits_a_terminal() -> None:
    text = shown(table_of_records())
    assert max(map(len, text.splitlines())) <= 80
    assert "64 bytes of payload, in instructions" in text
    assert row(text, "nothing attached") == ["2,000", "2,000", "right"]
    assert row(text, "XDP, then dropped") == (
        ["1,500", "-500", "1,550", "-450", "right"]
    )
    assert row(text, "raw socket, boosted") == (
        ["3,800", "+1,800", "3,850", "+1,850", "99.9%", "right"]
    )
    assert row(text, "AF_XDP ring ") == ["not", "run"]
    assert "AF_XDP ring: not run: cannot make a map" in text
    assert "before the stack" in " ".join(text.split())


def test_what_is_wrong_is_said() -> None:
    text = shown([packet_record(wrong=1)])
    assert row(text, "raw socket  ")[-1] == "WRONG"
    assert "raw socket, 64 bytes: WRONG number" in text
    assert "Nothing was measured." in shown([])


def test_a_table_for_each_size() -> None:
    text = shown([packet_record(), packet_record(size=1024)])
    assert "with 64 bytes" in text
    assert "with 1,024 bytes" in text
