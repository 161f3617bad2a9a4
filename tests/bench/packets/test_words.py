# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.bench.packets.samples import packet_record, table_of_records
from ubypass.bench.packets.words import not_run, prices, wrong


def test_three_prices_apart() -> None:
    plain, add = prices(table_of_records())
    assert plain == (
        "64 bytes: sending and the stack take 2,000 instructions; XDP that counts "
        "+600, a ring and its reader +900, a raw socket and its reader +2,000, the "
        "same boosted +1,800."
    )
    assert add.startswith("64 bytes, summed: sending and the stack take 2,000")
    assert "XDP that counts +650" in add


def test_nothing_is_said_without_the_stack_alone() -> None:
    records = table_of_records()
    assert prices([r for r in records if r.kind != "stack"]) == []
    assert prices([r for r in records if r.kind == "stack"]) == []
    assert prices([packet_record(kind="stack", runs=(), not_run="why")]) == []


def test_a_line_for_what_is_missing_or_wrong() -> None:
    records = table_of_records()
    assert not_run(records) == ["AF_XDP ring: not run: cannot make a map"]
    assert wrong(records) == []
    bad = packet_record(wrong=2, sum=True)
    assert wrong([bad]) == [
        "raw socket, 64 bytes, sum: WRONG number, size or sum in 2 runs"
    ]
    failed = packet_record(wrong=1, runs=(), not_run="3 of 10 were received")
    assert wrong([failed]) == ["raw socket, 64 bytes: FAILED: 3 of 10 were received"]
    assert not_run([failed]) == []
