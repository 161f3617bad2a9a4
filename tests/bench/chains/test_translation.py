# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from tests.bench.chains.samples import made_up
from ubypass.bench.chains.clock import Clock
from ubypass.bench.chains.snapshot import Area
from ubypass.bench.chains.translation import Image, full_ways


def test_reads_code_with_patches(tmp_path: Path) -> None:
    (tmp_path / "memory").write_bytes(bytes(4096) + b"\x90" * 4096)
    areas = (
        Area(0x1000, 0x2000, True, False, 0, ""),
        Area(0x2000, 0x3000, False, True, 4096, "code"),
    )
    image = Image(made_up(tmp_path, areas), {0x2001: b"\xcc\xcc"})
    assert image.read(0x2000, 4) == b"\x90\xcc\xcc\x90"
    assert image.read(0x1000, 4) == b""
    assert image.read_data(0x1000, 4) == bytes(4)
    assert image.read(0x9000, 4) == b""
    assert image.is_code(0x2000)
    assert not image.is_code(0x1000)


def test_ways_lead_through_other_code_for_the_vdso() -> None:
    clock = Clock({}, {0x1002: (0x1002, 0x8000, 0x8003)}, b"")
    first, second = full_ways(made_up(), clock)
    assert first.ips == (0x1002, 0x8000, 0x8003, 0x1003)
    assert second.ips == (0x1012, 0x1013)
