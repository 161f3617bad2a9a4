# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io

from rich.console import Console

from ubypass.bench.costs import show
from ubypass.bench.translation import Cost, Costs

_COSTS = Costs(
    regions=(
        Cost("libc+0x10", 100, 900, (1000.0, 2000.0, 500.0), (900.0, 1500.0, 300.0)),
        Cost("nginx+0x20", 300, 2700, (3000.0, 2000.0, 1500.0), (3.0, 4.0, 5.0)),
    ),
    peak=60 << 20,
    before=50 << 20,
    after=51 << 20,
    builds=1234,
    compiled=False,
)


def test_table() -> None:
    out = io.StringIO()
    show(_COSTS, Console(file=out))
    text = out.getvalue()
    first = next(line for line in text.splitlines() if "the first time" in line)
    assert [float(cell) for cell in first.split("│")[2:-1]] == [10.0, 10.0, 5.0, 25.0]
    assert "400 instructions" in text
    assert "1,234 more builds" in text
    assert "not compiled" in text
    assert max(map(len, text.splitlines())) <= 80
