# SPDX-License-Identifier: GPL-2.0-only
"""Tables in windows of all widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ubypass.cli.listing import print_exits, print_sites
from ubypass.cli.tables import console, plain_table

_LONG = "libverylongname.so.6:a_function_with_a_long_name+0x1234"


@pytest.mark.parametrize("columns", ["20", "40", "80", "200"])
def test_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == max(80, int(columns))
    print_exits([{"count": 123456789, "reason": "ret_miss", "symbol": _LONG}])
    out = capsys.readouterr().out
    assert "123,456,789" in out
    assert _LONG in "".join(line.strip() for line in out.splitlines())
    row = {
        "symbol": _LONG,
        "address": 1,
        "nr": 232,
        "call": "epoll_wait",
        "native_ns": 1234567.0,
        "boosted_ns": 7654321.0,
        "calls_per_run": 1000.5,
        "saved_per_run_ns": -99999.0,
        "decision": "boosted",
    }
    print_sites([row])
    out = capsys.readouterr().out
    for figure in ("1,234,567", "7,654,321", "1,000.5", "-99,999", "boosted"):
        assert figure in out
    assert "\u2026" not in out


def test_a_plain_table_has_no_lines() -> None:
    table = plain_table()
    table.add_column("A")
    table.add_column("B", justify="right")
    table.add_row("one", "2")
    shown = io.StringIO()
    Console(file=shown, width=40).print(table)
    assert [line.rstrip() for line in shown.getvalue().splitlines()] == [
        "A    B",
        "one  2",
    ]
