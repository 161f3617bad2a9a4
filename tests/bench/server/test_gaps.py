# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ubypass.bench.documents.gaps import GAPS
from ubypass.bench.documents.read import batch
from ubypass.bench.loop import Workload
from ubypass.bench.records import read_json
from ubypass.bench.results import results
from ubypass.bench.server.gaps import (
    Gap,
    call_names,
    paths,
    read_gaps,
    summarize,
    trace_loop,
    write_gaps,
)
from ubypass.process.maps import parse_maps

_MAPS = parse_maps(
    [
        "10000-20000 r-xp 00001000 08:01 5 /usr/lib/libc.so.6\n",
        "30000-31000 rw-p 00000000 00:00 0\n",
    ]
)


def document(gaps: Sequence[Gap]) -> str:
    return results([batch(Path("gaps.json"), GAPS, gaps, "")])


def test_names_of_calls() -> None:
    names = call_names()
    assert names[0] == "read"
    assert names[232] == "epoll_wait"


def test_sums_up_what_was_traced() -> None:
    lines = "10010 0 376 1\n" * 3 + "10020 1 5000 0\n10010 0 380 1\n" + "30000 52 9 0\n"
    gaps = summarize("redis", "GET 64", lines, _MAPS)
    place = "libc.so.6+0x10"
    assert [dataclasses.astuple(gap)[2:-2] for gap in gaps] == [
        (f"{place}10", "read", "write", 0.6667, 376, 376, 380),
        (f"{place}20", "write", "read", 0.1667, 5000, 5000, 5000),
        ("0x30000", "getpeername", "read", 0.1667, 9, 9, 9),
    ]
    assert {(gap.server, gap.case) for gap in gaps} == {("redis", "GET 64")}


def test_what_is_rare_is_left_out() -> None:
    lines = "10010 0 376 1\n" * 99 + "10020 1 5000 0\n"
    assert len(summarize("redis", "GET 64", lines, _MAPS)) == 1


def test_round_trip_and_document(tmp_path: Path) -> None:
    gaps = summarize("nginx", "4 KiB", "10010 0 376 1\n", _MAPS)
    write_gaps(tmp_path / "f", gaps)
    assert read_gaps(read_json(tmp_path / "f")) == gaps
    line = (
        "| nginx 4 KiB | libc.so.6+0x1010 | read | write | 100.0% | 376 | 376 | 376 "
        "| | |"
    )
    assert line in document(gaps)


def test_what_becomes_of_them_in_a_translation(tmp_path: Path) -> None:
    lines = "10010 0 100 1\n" * 3 + "10010 0 200 1\n" + "10020 1 5000 0\n"
    gaps = summarize("redis", "GET 64", lines, _MAPS, [140, 141, 139, 300, None])
    assert [(gap.translated, gap.growth) for gap in gaps] == [
        (140, 1.44),
        (None, None),
    ]
    assert "| 200 | 140 | 1.44 |" in document(gaps)


def test_reads_ways() -> None:
    found = paths("10010 0 2 1 10010 10013 10015\n10020 1 5000 0\n")
    assert [(path.resume, path.nr, path.ips) for path in found] == [
        (0x10010, 0, (0x10010, 0x10013, 0x10015)),
        (0x10020, 1, ()),
    ]


def test_a_loop() -> None:
    gap, *others = trace_loop(Workload("pread", 17, 64))
    assert (gap.server, gap.case, gap.call) == ("loop", "pread 64", "pread64")
    assert gap.following == "pread64"
    assert gap.share > 0.9
    assert gap.translated is not None
    assert gap.median < gap.translated < 2 * gap.median
    # Of the end of a round there may be something, too.
    assert len(others) < 3


def test_loops_are_summed_up() -> None:
    first = summarize("loop", "getppid", "10010 0 100 0\n", _MAPS, [120])
    second = summarize("loop", "pread 64", "10010 0 200 0\n", _MAPS, [300])
    text = document([*first, *second])
    assert "Iterations of all loops, together: 300 instructions natively, 420" in text
    assert "together" not in document(summarize("redis", "x", "10 0 9 0\n", _MAPS))
