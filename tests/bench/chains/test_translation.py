# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.chains.samples import made_up
from ubypass.abi import Abi
from ubypass.bench.chains.clock import Clock
from ubypass.bench.chains.snapshot import Area
from ubypass.bench.chains.translation import Bounds, Image, full_paths, make
from ubypass.cost.model import model_of
from ubypass.engine.growth import TracedPath
from ubypass.errors import UbError


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


def test_paths_lead_through_other_code_for_the_vdso() -> None:
    clock = Clock({}, {0x1002: (0x1002, 0x8000, 0x8003)}, b"")
    first, second = full_paths(made_up(), clock)
    assert first.ips == (0x1002, 0x8000, 0x8003, 0x1003)
    assert second.ips == (0x1012, 0x1013)


#: A loop of an addition to memory and a jump back; then getppid.
_CODE = bytes.fromhex("480103ffc975f9b86e0000000f05")
_START, _SYSCALL = 0x2000, 0x200C


def _image(folder: Path) -> Image:
    (folder / "memory").write_bytes(_CODE.ljust(4096, b"\x90"))
    return Image(made_up(folder, (Area(0x2000, 0x3000, False, True, 0, "code"),)), {})


def _path(turns: int) -> TracedPath:
    loop = (_START, _START + 3, _START + 5)
    return TracedPath(_START, 110, (*(loop * turns), _START + 7, _SYSCALL))


def test_what_is_likely_to_lose_stays_native(tmp_path: Path) -> None:
    image = _image(tmp_path)
    bounds = Bounds(model=model_of("zen4"))
    short, long = _path(2), _path(4000)
    assert make([short], image, Abi(), bounds).translation.dispatches
    with pytest.raises(UbError, match="profitable by the model"):
        make([long], image, Abi(), bounds)
    # A long gap now and then does not make a site one that loses.
    assert make([short] * 99 + [long], image, Abi(), bounds).translation.dispatches
    assert make([long], image, Abi(), Bounds()).translation.dispatches


def test_as_of_a_trusted_program(tmp_path: Path) -> None:
    image = _image(tmp_path)
    made = [make([_path(2)], image, Abi(), Bounds(trusted=t)) for t in (False, True)]
    assert [each.translation.trusted for each in made] == [False, True]
